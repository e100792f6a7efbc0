"""Settings: config.toml and LIANDONG_* overrides become one frozen record, or one fault that names everything wrong.

`dispatcher/default_config.toml` holds every default and its meaning; nothing has a second default here. Files are
only looked at, never made: the folder of a database is made by whoever opens it.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import NoneType
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from dispatcher.setting_checks import check_setting, is_inside, is_loopback

PREFIX = "LIANDONG_"
FILE_VARIABLE = "LIANDONG_CONFIG"

_UNITS = {"ms": "milliseconds", "s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|h|d)")
# Greedy up to the last @, so that a password holding "/" or "@" is hidden whole.
_PASSWORD = re.compile(r"(://[^:/?#@]*):.*@", re.DOTALL)
_QUERY_SECRET = re.compile(r"([?&][^=&]*(?:pass|token|secret|key|sign)[^=&]*=)[^&]*", re.IGNORECASE)


def _span(least: str, most: str, words: str) -> Meta:
    """A duration between two others; ``words`` say so to whoever got it wrong."""
    return Meta(extra={"least": least, "most": most}, description=words)


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """Where the record is kept. ``pool`` counts connections for reading; daily anchors go to ``anchor_file``."""

    url: Annotated[
        str,
        Meta(
            description="写 sqlite:///路径 或 postgresql://用户:口令@主机:端口/库 / write sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME"
        ),
    ]
    pool: Annotated[int, Meta(ge=1, le=64, description="连接数 1–64 / connections, 1–64")]
    anchor_file: Annotated[Path, Meta(description="锚点文件的路径 / path of the anchor file")]

    def __repr__(self) -> str:
        return f"Database(url={masked(self.url)!r}, pool={self.pool}, anchor_file={self.anchor_file!r})"


class Http(msgspec.Struct, frozen=True, kw_only=True):
    """Where people and systems reach us. ``base`` is the public address, empty for the listening one."""

    host: Annotated[
        str,
        Meta(min_length=1, description="主机名或地址，如 127.0.0.1 / a host or address, such as 127.0.0.1"),
    ]
    port: Annotated[
        int, Meta(ge=0, le=65535, description="端口 0–65535，0 为任选 / a port 0–65535; 0 picks a free one")
    ]
    base: Annotated[
        str, Meta(description="http(s):// 开头的完整网址，或留空 / a full http(s):// address, or empty")
    ]
    body_limit: Annotated[
        int,
        Meta(
            ge=65_536,
            le=1_073_741_824,
            description="字节数，64 KiB–1 GiB / bytes between 64 KiB and 1 GiB",
        ),
    ]


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """Which platforms live here, and in which division (GB/T 2260)."""

    platforms: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^(12345|110)-[0-9]{6}$")], ...],
        Meta(
            min_length=1,
            description='线路-区划代码，如 ["12345-630100"] / line-division, such as ["12345-630100"]',
        ),
    ]
    division: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]{6}$",
            description="六位行政区划代码，如 630000 / six digits of GB/T 2260, such as 630000",
        ),
    ]


class VaultSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the master key of personal data lies; made on first use, mode 0600."""

    key_file: Annotated[Path, Meta(description="密钥文件的路径 / path of the key file")]


_FOLDER = Meta(description="一个可读的目录，或留空 / a readable folder, or empty")


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Folders that replace the packaged ones; None means packaged (``cache`` None: no cache).

    ``model`` is where a copy of the recommender in force lies.
    """

    lists: Annotated[Path | None, _FOLDER]
    lexicon: Annotated[Path | None, _FOLDER]
    calendars: Annotated[Path | None, _FOLDER]
    places: Annotated[Path | None, _FOLDER]
    directory: Annotated[Path | None, _FOLDER]
    organisation: Annotated[Path | None, _FOLDER]
    policy: Annotated[Path | None, _FOLDER]
    notices: Annotated[Path | None, _FOLDER]
    duplicates: Annotated[Path | None, _FOLDER]
    model: Annotated[Path, Meta(description="模型文件的路径 / path of the model file")]
    cache: Annotated[
        Path | None, Meta(description="目录（不存在则建立），或留空 / a folder (made when missing), or empty")
    ]


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """How the process waits, retries and stops."""

    sweep_limit: Annotated[int, Meta(ge=1, le=10_000, description="1–10000")]
    look_ahead: Annotated[timedelta, _span("100ms", "10min", "100ms–10min")]
    drain: Annotated[timedelta, _span("0s", "10min", "0s–10min")]
    relay_lanes: Annotated[int, Meta(ge=1, le=1000, description="1–1000")]
    relay_attempt: Annotated[timedelta, _span("100ms", "10min", "100ms–10min")]
    relay_backoff: Annotated[timedelta, _span("10ms", "1h", "10ms–1h")]
    relay_cap: Annotated[timedelta, _span("10ms", "1d", "10ms–1d")]
    relay_patience: Annotated[timedelta, _span("1s", "30d", "1s–30d")]
    clock_tolerance: Annotated[timedelta, _span("100ms", "1min", "100ms–1min")]
    clock_agreement: Annotated[timedelta, _span("1s", "1h", "1s–1h")]


class Auditor(msgspec.Struct, frozen=True, kw_only=True):
    """The auditor of deadlines, and the dead man's switch outside: a file and an address, empty for none."""

    every: Annotated[timedelta, _span("1s", "15s", "1s–15s")]
    grace: Annotated[timedelta, _span("1s", "1h", "1s–1h")]
    switch_file: Annotated[Path | None, Meta(description="文件路径，或留空 / a file, or empty")]
    switch_url: Annotated[
        str, Meta(description="http(s):// 开头的网址，或留空 / an http(s):// address, or empty")
    ]
    switch_every: Annotated[timedelta, _span("1s", "1h", "1s–1h")]

    def __repr__(self) -> str:
        shown = "***" if self.switch_url else ""  # such addresses carry their token in the path
        return f"Auditor(switch_file={self.switch_file!r}, switch_url={shown!r})"


class Notices(msgspec.Struct, frozen=True, kw_only=True):
    """Where notices and alarms are posted; an empty address posts nowhere. The key signs what is posted.

    ``language`` is that of text messages and calls, which carry one; ``sign`` says who writes, ``neutral_sign`` stands
    in its place where that must not be said.
    """

    language: Annotated[Literal["zh-CN", "en"], Meta(description="zh-CN, en")]
    sign: Annotated[str, Meta(min_length=1, max_length=20, description="1–20 个字 / 1–20 signs")]
    neutral_sign: Annotated[str, Meta(max_length=20, description="至多 20 个字 / at most 20 signs")]
    sms_parts: Annotated[int, Meta(ge=1, le=20, description="1–20")]

    webhook_url: Annotated[
        str, Meta(description="http(s):// 开头的网址，或留空 / an http(s):// address, or empty")
    ]
    secret_file: Annotated[
        Path | None, Meta(description="一个可读的密钥文件，或留空 / a readable key file, or empty")
    ]

    def __repr__(self) -> str:
        shown = "***" if self.webhook_url else ""  # robots of chat services carry their token in the path
        return f"Notices(webhook_url={shown!r}, secret_file={self.secret_file!r}, sign={self.sign!r})"


class Smtp(msgspec.Struct, frozen=True, kw_only=True):
    """The mail server that notices leave by; an empty host sends no mail. The password lies in a file of its own."""

    host: Annotated[str, Meta(description="邮件服务器的主机名，或留空 / the mail server's host, or empty")]
    port: Annotated[int, Meta(ge=1, le=65535, description="端口 1–65535 / a port 1–65535")]
    security: Annotated[
        Literal["tls", "starttls", "none"],
        Meta(description="tls、starttls；none 仅限本机 / tls, starttls; none to this machine only"),
    ]
    username: Annotated[str, Meta(description="登录名，或留空 / a user name, or empty")]
    password_file: Annotated[
        Path | None, Meta(description="一个可读的口令文件，或留空 / a readable password file, or empty")
    ]
    sender: Annotated[
        str, Meta(description="发件地址，如 liandong@example.cn / the sender, such as liandong@example.cn")
    ]
    ca_file: Annotated[
        Path | None,
        Meta(description="一个可读的 CA 证书文件，或留空 / a readable CA certificate file, or empty"),
    ]
    answer_within: Annotated[timedelta, _span("100ms", "1min", "100ms–1min")]


class Sms(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP gateway for text messages; an empty file connects none. Its shape is a file, its secrets are others."""

    gateway_file: Annotated[
        Path | None,
        Meta(
            description="一个可读的网关描述文件，或留空 / a readable gateway file, or empty (docs/notices.md)"
        ),
    ]
    secret_file: Annotated[
        Path | None, Meta(description="一个可读的密钥文件，或留空 / a readable secret file, or empty")
    ]
    receipt_secret_file: Annotated[
        Path | None,
        Meta(description="一个可读的回执密钥文件，或留空 / a readable receipt secret file, or empty"),
    ]
    answer_within: Annotated[timedelta, _span("100ms", "1min", "100ms–1min")]


class Smpp(msgspec.Struct, frozen=True, kw_only=True):
    """A line to a short message centre (SMPP 3.4); an empty host connects none. ``source`` is the number we send from,
    ``window`` how many messages may wait for its answer."""

    host: Annotated[str, Meta(description="短信中心的主机名，或留空 / the centre's host, or empty")]
    port: Annotated[int, Meta(ge=1, le=65535, description="端口 1–65535 / a port 1–65535")]
    system_id: Annotated[str, Meta(max_length=15, description="至多 15 个字符 / at most 15 signs")]
    password_file: Annotated[
        Path | None,
        Meta(description="一个可读的口令文件（至多 8 个字符） / a readable password file (at most 8 signs)"),
    ]
    system_type: Annotated[str, Meta(max_length=12, description="至多 12 个字符 / at most 12 signs")]
    source: Annotated[str, Meta(max_length=20, description="发送号码 / the number to send from")]
    window: Annotated[int, Meta(ge=1, le=1000, description="1–1000")]
    enquire_every: Annotated[timedelta, _span("1s", "10min", "1s–10min")]
    answer_within: Annotated[timedelta, _span("100ms", "1min", "100ms–1min")]


class Logging(msgspec.Struct, frozen=True, kw_only=True):
    """How much is logged."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="debug, info, warning, error")
    ]


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """Who may read /metrics (networks in CIDR form)."""

    allow: Annotated[
        tuple[str, ...], Meta(description='网段，如 ["127.0.0.0/8"] / networks, such as ["127.0.0.0/8"]')
    ]

    def admits(self, address: str | None) -> bool:
        """Whether a peer at this address may read; one without an address (a unix socket) is local."""
        if address is None:
            return True
        peer = ipaddress.ip_address(address.partition("%")[0])
        mapped = peer.ipv4_mapped if isinstance(peer, ipaddress.IPv6Address) else None
        return any((mapped or peer) in ipaddress.ip_network(network) for network in self.allow)


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """The demonstration: messages a minute."""

    rate: Annotated[
        float,
        Meta(ge=0, le=60_000, description="每分钟件数 0–60000 / messages a minute, 0–60000"),
    ]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a deployment may choose. Business rules are not among it: they are data with proofs."""

    database: Database
    http: Http
    deployment: Deployment
    vault: VaultSettings
    data: Data
    runtime: Runtime
    auditor: Auditor
    notices: Notices
    smtp: Smtp
    sms: Sms
    smpp: Smpp
    logging: Logging
    telemetry: Telemetry
    demo: Demo


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong: which key, where it was written, the value (secrets masked), what to write instead."""

    field: str
    source: str
    value: str
    remedy: str

    def __str__(self) -> str:
        shown = f" = {self.value}" if self.value else ""
        return f"{self.field}{shown}（{self.source}）：{self.remedy}"


class SettingsFault(Exception):
    """The configuration cannot be used; ``faults`` lists all there is to mend."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


def load_settings(path: Path | None, env: Mapping[str, str], *, folder: Path | None = None) -> Settings:
    """Settings from the packaged defaults, the chosen file and the environment, the later ones winning.

    The file is ``path`` (from --config), else that of LIANDONG_CONFIG, else config.toml in ``folder`` (the
    current one). Relative paths in settings stay relative to the current folder.

    Raises:
        SettingsFault: something in the file or the environment is wrong; all of it is listed.
    """
    faults: list[Fault] = []
    values = _sections(
        default_config().decode("utf-8"), "default_config.toml", faults
    )  # the packaged file is whole: a test holds it to `Settings`
    sources: dict[str, str] = {}

    chosen = path
    if chosen is None and env.get(FILE_VARIABLE):
        chosen = Path(env[FILE_VARIABLE])
    if chosen is None and ((folder or Path()) / "config.toml").is_file():
        chosen = (folder or Path()) / "config.toml"
    if chosen is not None:
        _lay(_read(chosen, faults), str(chosen), values, sources, faults)
    overrides = _overrides(env, faults)
    _lay(overrides, "", values, sources, faults)

    read = {
        section: _section(section, kind, values.get(section, {}), sources, faults)
        for section, kind in _fields(Settings).items()
    }
    if faults:
        raise SettingsFault(tuple(faults))
    built = {section: msgspec.convert(read[section], kind) for section, kind in _fields(Settings).items()}
    settings = msgspec.convert(built, Settings)
    if disagreements := tuple(_disagreements(settings, sources)):
        raise SettingsFault(disagreements)
    return settings


def default_config() -> bytes:
    """The packaged default file, with its comments."""
    return Path(__file__).with_name("default_config.toml").read_bytes()


def parse_duration(text: str) -> timedelta:
    """A length of time written as in config.toml ("500ms", "2s", "15min", "1h", "30d").

    Raises:
        ValueError: it is written otherwise.
    """
    matched = _DURATION.fullmatch(text.strip())
    if matched is None:
        raise ValueError(text)
    return timedelta(**{_UNITS[matched[2]]: float(matched[1])})


def masked(url: str) -> str:
    """The address without what opens doors: password and secret-looking query values become ***."""
    return _QUERY_SECRET.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))


_Sections = dict[str, dict[str, object]]


def _read(path: Path, faults: list[Fault]) -> _Sections:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        faults.append(
            Fault(
                field="config",
                source=str(path),
                value=f"byte {error.start}",
                remedy="文件须为 UTF-8 / save the file as UTF-8",
            )
        )
        return {}
    except OSError as error:
        faults.append(
            Fault(
                field="config",
                source=str(path),
                value=error.strerror or type(error).__name__,
                remedy="给出一个可读的文件 / name a readable file",
            )
        )
        return {}
    return _sections(text, str(path), faults)


def _sections(text: str, source: str, faults: list[Fault]) -> _Sections:
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        faults.append(
            Fault(field="config", source=source, value=str(error), remedy="改正 TOML 语法 / mend the TOML")
        )
        return {}
    sections: _Sections = {}
    for name, content in found.items():
        if isinstance(content, dict):
            sections[name] = content
        else:
            faults.append(
                Fault(
                    field=name,
                    source=source,
                    value="",
                    remedy="键须写在某一节之下，如 [http] / a key belongs under a section such as [http]",
                )
            )
    return sections


def _overrides(env: Mapping[str, str], faults: list[Fault]) -> _Sections:
    """The LIANDONG_* variables as sections; their values stay text until the field says what it wants."""
    known = {
        f"{PREFIX}{section}_{key}".upper(): (section, key)
        for section, kind in _fields(Settings).items()
        for key in _fields(kind)
    }
    sections: _Sections = {}
    for variable in sorted(name for name in env if name.startswith(PREFIX) and name != FILE_VARIABLE):
        if variable in known:
            section, key = known[variable]
            sections.setdefault(section, {})[key] = env[variable]
        else:
            faults.append(
                Fault(
                    field=variable,
                    source="environment",
                    value="",
                    remedy=_nearest(variable, known, "没有这个变量 / no such variable"),
                )
            )
    return sections


def _lay(
    sections: _Sections, source: str, values: _Sections, sources: dict[str, str], faults: list[Fault]
) -> None:
    """Lay one source over the values so far, noting where each came from; an empty source is the environment."""
    kinds = _fields(Settings)
    for section, content in sections.items():
        if section not in kinds:
            faults.append(
                Fault(
                    field=f"[{section}]",
                    source=source,
                    value="",
                    remedy=_nearest(section, kinds, "没有这一节 / no such section"),
                )
            )
            continue
        keys = _fields(kinds[section])
        for key, value in content.items():
            if key not in keys:
                faults.append(
                    Fault(
                        field=f"{section}.{key}",
                        source=source,
                        value="",
                        remedy=_nearest(key, keys, "没有这个键 / no such key"),
                    )
                )
                continue
            values.setdefault(section, {})[key] = value
            sources[f"{section}.{key}"] = source or f"{PREFIX}{section}_{key}".upper()


def _nearest(name: str, known: Mapping[str, object], words: str) -> str:
    import difflib  # only a fault needs it; small commands start fast

    near = difflib.get_close_matches(name, known, n=1)
    return f"{words}；是否为 {near[0]}？ / did you mean {near[0]}?" if near else words


def _section(
    section: str,
    kind: object,
    values: Mapping[str, object],
    sources: Mapping[str, str],
    faults: list[Fault],
) -> dict[str, object]:
    """One section's values, checked; a faulty key adds a fault and stays out."""
    read: dict[str, object] = {}
    for key, wanted in _fields(kind).items():
        name = f"{section}.{key}"
        source = sources.get(name, "default_config.toml")
        value = values.get(key)
        try:
            read[key] = _value(value, wanted, lax=source.startswith(PREFIX))
            check_setting(name, read[key])
        except (ValueError, OSError) as error:
            shown = masked(str(value)) if "url" in key else str(value)[:120]
            why = f"{error.strerror}; " if isinstance(error, OSError) and error.strerror else ""
            faults.append(Fault(field=name, source=source, value=shown, remedy=why + _remedy(wanted)))
            read.pop(key, None)
    return read


def _value(value: object, wanted: object, *, lax: bool) -> object:
    """What the field wants, from what was written. Text of the environment is read more freely (``lax``)."""
    plain = _plain(wanted)
    if plain is timedelta:
        if not isinstance(value, str):
            raise ValueError("duration")
        length = parse_duration(value)
        limits = _meta(wanted).extra or {}
        if not parse_duration(limits["least"]) <= length <= parse_duration(limits["most"]):
            raise ValueError("range")
        return length
    if plain is Path or NoneType in get_args(plain):
        if not isinstance(value, str) or "\0" in value or (plain is Path and not value):
            raise ValueError("path")
        return Path(value) if value else None
    if lax and get_origin(plain) is tuple and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    return msgspec.convert(value, type=wanted, strict=not lax)


def _plain(wanted: object) -> object:
    return get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted


def _meta(wanted: object) -> Meta:
    return next((part for part in get_args(wanted)[1:] if isinstance(part, Meta)), Meta())


def _remedy(wanted: object) -> str:
    return _meta(wanted).description or ""


def _fields(kind: object) -> dict[str, object]:
    """Field names and their annotations, in order."""
    return get_type_hints(kind, include_extras=True)


def _disagreements(settings: Settings, sources: Mapping[str, str]) -> Iterator[Fault]:
    """Values that are right alone and wrong together."""

    def fault(field: str, value: object, remedy: str) -> Fault:
        return Fault(
            field=field, source=sources.get(field, "default_config.toml"), value=str(value), remedy=remedy
        )

    runtime, smtp = settings.runtime, settings.smtp
    if runtime.relay_backoff > runtime.relay_cap:
        yield fault(
            "runtime.relay_backoff",
            runtime.relay_backoff,
            "首次间隔不得超过 runtime.relay_cap / the first pause may not exceed runtime.relay_cap",
        )
    if smtp.host:
        if not smtp.sender:
            yield fault("smtp.sender", "", "发邮件须有发件地址 / mail needs a sender")
        if smtp.security == "none" and not is_loopback(smtp.host):
            yield fault(
                "smtp.security",
                smtp.security,
                "不加密仅限本机；请用 tls 或 starttls / only to this machine; use tls or starttls",
            )
        if bool(smtp.username) != (smtp.password_file is not None):
            yield fault(
                "smtp.password_file",
                smtp.password_file or "",
                "用户名与口令文件须同时给出或同时留空 / give username and password_file, or neither",
            )
    sms, smpp = settings.sms, settings.smpp
    if sms.gateway_file is not None and smpp.host:
        yield fault(
            "smpp.host",
            smpp.host,
            "短信只走一条路：sms.gateway_file 或 smpp.host / one way for texts: either of them",
        )
    if smpp.host:
        if not is_inside(smpp.host):
            yield fault(
                "smpp.host",
                smpp.host,
                "SMPP 不加密：须为本机或内网地址，公网请走隧道 / SMPP is in clear text: give an address of this machine "
                "or a private network, and reach others through a tunnel",
            )
        for key, value in (("system_id", smpp.system_id), ("password_file", smpp.password_file)):
            if not value:
                yield fault(f"smpp.{key}", "", "登录短信中心须有 / the centre asks for it")
    for channel, patience, used in (
        ("smtp.answer_within", smtp.answer_within, smtp.host),
        ("sms.answer_within", sms.answer_within, sms.gateway_file),
        ("smpp.answer_within", smpp.answer_within, smpp.host),
    ):
        if used and patience >= runtime.relay_attempt:
            yield fault(
                channel,
                patience,
                "须短于 runtime.relay_attempt，否则等不到回答 / must be shorter than runtime.relay_attempt",
            )
