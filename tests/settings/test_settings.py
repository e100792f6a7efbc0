"""Settings: who wins over whom, and every fault named at once."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from dispatcher.settings import Settings, SettingsFault, default_config, load_settings, masked, parse_duration

TOP = Path(__file__).resolve().parents[2]


def _faults(env: dict[str, str], path: Path | None = None, folder: Path | None = None) -> dict[str, str]:
    with pytest.raises(SettingsFault) as caught:
        load_settings(path, env, folder=folder)
    return {fault.field: str(fault) for fault in caught.value.faults}


def test_the_config_at_the_top_is_the_packaged_one() -> None:
    assert (TOP / "config.toml").read_bytes() == default_config()


def test_the_packaged_file_names_every_setting_and_nothing_else() -> None:
    written = tomllib.loads(default_config().decode())

    wanted = {section: set(field_type.__annotations__) for section, field_type in _sections().items()}

    assert {section: set(keys) for section, keys in written.items()} == wanted


def _sections() -> dict[str, type]:
    settings = load_settings(None, {}, folder=TOP)
    return {name: type(getattr(settings, name)) for name in Settings.__struct_fields__}


def test_without_a_file_the_packaged_defaults_hold(tmp_path: Path) -> None:
    settings = load_settings(None, {}, folder=tmp_path)

    assert settings.database.url == "sqlite:///var/liandong.db"
    assert settings.runtime.drain == timedelta(seconds=20)
    assert settings.data.lists is None


def test_the_option_wins_over_the_variable_and_that_over_the_folder(tmp_path: Path) -> None:
    for name, port in (("option", 1001), ("variable", 1002), ("config", 1003)):
        (tmp_path / f"{name}.toml").write_text(f"[http]\nport = {port}\n")
    variable = {"LIANDONG_CONFIG": str(tmp_path / "variable.toml")}

    assert load_settings(tmp_path / "option.toml", variable, folder=tmp_path).http.port == 1001
    assert load_settings(None, variable, folder=tmp_path).http.port == 1002
    assert load_settings(None, {}, folder=tmp_path).http.port == 1003


def test_a_variable_overrides_the_file_and_the_rest_of_the_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[http]\nport = 1001\nhost = "127.0.0.2"\n')

    settings = load_settings(file, {"LIANDONG_HTTP_PORT": "1009"})

    assert (settings.http.port, settings.http.host) == (1009, "127.0.0.2")


def test_variables_are_read_as_what_the_key_wants() -> None:
    settings = load_settings(
        None,
        {
            "LIANDONG_DEPLOYMENT_PLATFORMS": "12345-630100, 110-630100",
            "LIANDONG_RUNTIME_RELAY_PATIENCE": "90min",
            "LIANDONG_DEMO_RATE": "2.5",
            "LIANDONG_DATA_LISTS": "",
        },
        folder=TOP,
    )

    assert settings.deployment.platforms == ("12345-630100", "110-630100")
    assert settings.runtime.relay_patience == timedelta(minutes=90)
    assert settings.demo.rate == 2.5
    assert settings.data.lists is None


def test_every_fault_of_file_and_environment_is_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(
        "loose = 1\n[http]\nport = 70000\nprot = 1\n[htpp]\nport = 1\n[runtime]\nlook_ahead = 3\n"
        '[logging]\nlevel = "loud"\n[telemetry]\nallow = ["127.0.0.0/33"]\n'
    )

    faults = _faults(
        {
            "LIANDONG_DATABASE_URL": "mysql://localhost/x",
            "LIANDONG_DATABASE_POOL": "many",
            "LIANDONG_HTTP_BSAE": "x",
            "LIANDONG_RUNTIME_DRAIN": "2 weeks",
            "LIANDONG_NOTICES_SECRET_FILE": str(tmp_path / "none"),
            "LIANDONG_DATA_LISTS": str(tmp_path / "no-lists"),
        },
        file,
    )

    assert set(faults) == {
        "loose", "http.port", "http.prot", "[htpp]", "runtime.look_ahead", "logging.level", "telemetry.allow",
        "database.url", "database.pool", "LIANDONG_HTTP_BSAE", "runtime.drain", "notices.secret_file",
        "data.lists",
    }  # fmt: skip
    assert "70000" in faults["http.port"]
    assert str(file) in faults["http.port"]
    assert "0–65535" in faults["http.port"]
    assert "did you mean port?" in faults["http.prot"]
    assert "did you mean LIANDONG_HTTP_BASE?" in faults["LIANDONG_HTTP_BSAE"]


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite://host/x.db",
        "sqlite:////tmp",
        "postgresql://u@h",
        "postgresql://u@h:99999/x",
        "postgres+asyncpg://h/x",
        "liandong.db",
        "",
    ],
)
def test_a_database_address_that_cannot_be_opened_is_refused(url: str) -> None:
    assert set(_faults({"LIANDONG_DATABASE_URL": url}, folder=TOP)) == {"database.url"}


@pytest.mark.parametrize(
    "url", ["postgresql://u:p@h:5433/x", "postgresql:///x?host=/run", "sqlite:////tmp/a.db"]
)
def test_addresses_of_both_engines_are_taken(url: str) -> None:
    assert load_settings(None, {"LIANDONG_DATABASE_URL": url}, folder=TOP).database.url == url


def test_no_password_is_ever_shown(tmp_path: Path) -> None:
    faults = _faults(
        {"LIANDONG_DATABASE_URL": "postgresql://u:hun/t@er2@h:99999/x?password=hunter3"}, folder=tmp_path
    )
    settings = load_settings(
        None,
        {
            "LIANDONG_DATABASE_URL": "postgresql://u:hunter2@h/x",
            "LIANDONG_NOTICES_WEBHOOK_URL": "https://robot.example/hook/hunter2?access_token=hunter3",
        },
        folder=tmp_path,
    )

    assert "hun" not in faults["database.url"]
    assert "er2" not in faults["database.url"]
    assert "u:***@h:99999" in faults["database.url"]
    assert "hunter" not in repr(settings)
    assert masked("https://h/x?access_token=hunter3&a=1") == "https://h/x?access_token=***&a=1"


def test_a_file_that_cannot_be_read_is_a_fault_beside_the_others(tmp_path: Path) -> None:
    faults = _faults({"LIANDONG_HTTP_PORT": "x"}, tmp_path / "none.toml")

    assert set(faults) == {"config", "http.port"}


@pytest.mark.parametrize("content", [b"[http\n", b"[http]\nhost = '\xff'\n"])
def test_a_file_that_is_no_toml_says_where(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(content)

    assert str(file) in _faults({}, file)["config"]


def test_values_that_are_wrong_together_are_refused() -> None:
    faults = _faults(
        {"LIANDONG_RUNTIME_RELAY_BACKOFF": "10min", "LIANDONG_RUNTIME_RELAY_CAP": "1min"}, folder=TOP
    )

    assert set(faults) == {"runtime.relay_backoff"}


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "windows.toml"
    file.write_bytes(b"\xef\xbb\xbf[http]\r\nport = 1010\r\n")

    assert load_settings(file, {}).http.port == 1010


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("1.5s", timedelta(seconds=1.5)),
        ("15min", timedelta(minutes=15)),
        ("1h", timedelta(hours=1)),
        ("30d", timedelta(days=30)),
    ],
)
def test_durations_are_read_as_written(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize("text", ["", "5", "-5s", "5 s", "1h30min", "1e3s", "5m"])
def test_durations_written_otherwise_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("address", "admitted"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.1", False), (None, True)],
)
def test_metrics_are_for_the_networks_named(address: str | None, admitted: bool) -> None:
    assert load_settings(None, {}, folder=TOP).telemetry.admits(address) is admitted


def test_ways_out_that_cannot_work_are_named_all_at_once(tmp_path: Path) -> None:
    long_one = tmp_path / "password"
    long_one.write_text("more than eight")
    file = tmp_path / "own.toml"
    file.write_text(
        f"""
        [smtp]
        host = "mail.example.cn"
        security = "none"
        username = "liandong"
        answer_within = "40s"
        [smpp]
        host = "sms.example.cn"
        [sms]
        gateway_file = "{long_one}"
        """
    )

    faults = set(_faults({}, file))

    assert faults == {
        "smtp.sender", "smtp.security", "smtp.password_file", "smtp.answer_within", "smpp.host", "smpp.system_id",
        "smpp.password_file",
    }  # fmt: skip


def test_a_password_that_does_not_fit_the_wire_is_refused(tmp_path: Path) -> None:
    long_one = tmp_path / "password"
    long_one.write_text("more than eight")

    assert set(_faults({"LIANDONG_SMPP_PASSWORD_FILE": str(long_one)})) == {"smpp.password_file"}
