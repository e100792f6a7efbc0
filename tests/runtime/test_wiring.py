"""Wiring: no effect without its one carrier, and a stop that loses no acknowledged command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args
from uuid import UUID, uuid5

import aiohttp
import pytest
from sqlalchemy import text

from dispatcher.domain import commands as c
from dispatcher.domain import effects as f
from dispatcher.domain.authority import ROLES
from dispatcher.domain.failures import failure_of
from dispatcher.domain.stream import Actor, Effect, Role, Submission
from dispatcher.ports import DutyCall, Outcome
from dispatcher.runtime.clock import SystemClock
from dispatcher.runtime.hands import Hands
from dispatcher.runtime.service import Attached, Service
from dispatcher.settings import Settings, load_settings
from dispatcher.store.errors import Unavailable
from dispatcher.wiring import (
    EFFECTS,
    SPECS,
    AdapterSpec,
    Built,
    Core,
    WiringFault,
    build_service,
    carriers_of,
    reload_lists,
    writing,
)

SPACE = UUID("6b1f7c0e-0000-4000-8000-000000000000")
AGENT = Actor(id="agent-1", roles=(Role.AGENT_12345,), platform="12345-630100", division="630100")
CASE = uuid5(SPACE, "case")
GIVEN_UP: tuple[Effect, ...] = (
    f.Notify(case=CASE, number="1", to=f.Recipient(role="unit-lead", unit="x"), template="assigned"),
    f.TellCitizen(case=CASE, number="1", template="closed"),
    f.PassOrder(case=CASE, number="1", origin="12345-630100", to="110-630100", kind="transfer"),
    f.PassOrder(case=CASE, number="1", origin="12345-630100", to="110-630100", kind="hand-over"),
    f.ReturnResult(case=CASE, number="1", to="110-630100", peer_case=None, peer_number="2", result="solved"),
    f.AlertLine(case=CASE, number="1", line="119"),
)


def _spec(kind: str, *carries: type[Effect]) -> AdapterSpec:
    return AdapterSpec(
        kind=kind, carries=frozenset(carries), build=lambda _: Built(attached=Attached(kind=kind))
    )


def test_the_shipped_adapters_carry_every_effect_once() -> None:
    assert set(carriers_of(SPECS, EFFECTS)) == set(get_args(f.AnyEffect))


def test_effects_without_a_carrier_or_with_two_are_all_named() -> None:
    specs = (_spec("one", f.Notify, f.TellCitizen), _spec("other", f.Notify))

    with pytest.raises(WiringFault) as caught:
        carriers_of(specs, (f.Notify, f.TellCitizen, f.PassOrder))

    assert "Notify: one and other" in str(caught.value)
    assert "PassOrder: nobody" in str(caught.value)
    assert "TellCitizen" not in str(caught.value)


@pytest.mark.parametrize("effect", GIVEN_UP, ids=lambda effect: type(effect).__name__)
def test_every_effect_given_up_is_reported_by_a_command_that_the_system_may_send(effect: Effect) -> None:
    told = failure_of(SPACE, effect, "no such line")

    assert told is not None
    assert Role.SYSTEM in ROLES[type(told.command)]
    assert told == failure_of(SPACE, effect, "no such line")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(
        None,
        {
            "LIANDONG_DATABASE_URL": f"sqlite:///{tmp_path}/wired.db",
            "LIANDONG_VAULT_KEY_FILE": str(tmp_path / "vault.key"),
            "LIANDONG_DATA_CACHE": str(tmp_path / "cache"),
            "LIANDONG_HTTP_PORT": "0",
        },
        folder=tmp_path,
    )


@pytest.fixture
async def started(settings: Settings) -> AsyncIterator[tuple[Service, Core]]:
    service, core = build_service(settings)
    await service.start()
    yield service, core
    await service.stop()


def _register(number: int) -> Submission:
    case = uuid5(SPACE, f"case {number}")
    return Submission(
        message_id=uuid5(SPACE, f"message {number}"),
        command=c.RegisterCase(
            case=case,
            platform="12345-630100",
            number=f"2611220{number:04d}",
            words=f"小区路灯第{number}盏不亮",
            division="630102",
        ),
        actor=AGENT,
    )


async def test_what_was_acknowledged_before_a_stop_is_there_afterwards(
    started: tuple[Service, Core], settings: Settings
) -> None:
    service, core = started
    asked = [asyncio.create_task(core.inbox.submit(_register(number))) for number in range(40)]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)

    await service.stop()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)

    taken = {number: o for number, o in enumerate(outcomes) if isinstance(o, Outcome)}
    assert taken
    assert all(isinstance(o, (Outcome, Unavailable)) for o in outcomes)
    async with writing(settings) as later:
        for number, outcome in taken.items():
            again = await later.inbox.submit(_register(number))
            assert again.repeated
            assert again.answer == outcome.answer


async def test_a_service_that_stopped_takes_nothing_and_may_be_stopped_again(
    started: tuple[Service, Core],
) -> None:
    service, core = started

    await service.stop()
    await service.stop()

    assert not (await service.readiness()).ready
    with pytest.raises(Unavailable):
        await core.inbox.submit(_register(1))


class _JumpingHands(Hands):
    """The machine's clocks, set by the test on top of how they run."""

    def __init__(self) -> None:
        self.ran = timedelta()
        self.off = timedelta()

    def wall(self) -> datetime:
        return super().wall() + self.ran + self.off

    def monotonic(self) -> timedelta:
        return super().monotonic() + self.ran


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)], ids=["forth", "back"])
async def test_a_node_whose_clock_jumps_is_unready_and_fires_nothing_until_the_clocks_agree(
    settings: Settings, jump: timedelta
) -> None:
    hands = _JumpingHands()
    service, core = build_service(settings, hands=hands)
    address = await service.start()
    assert isinstance(core.clock, SystemClock)
    try:
        await core.inbox.submit(_register(1))
        async with aiohttp.ClientSession() as session:

            async def ready() -> tuple[int, list[str]]:
                async with session.get(f"{address}readyz") as answer:
                    return answer.status, (await answer.json())["reasons"]

            assert await ready() == (200, [])
            hands.off = jump
            await core.clock.refresh()
            assert await ready() == (503, ["clocks part"])
            assert await core.sweep.settle_all() == 0
            hands.ran += timedelta(days=3)  # all of it is due by now
            assert await core.sweep.settle_all() == 0

            await core.clock.refresh()
            hands.ran += timedelta(seconds=10)
            await core.clock.refresh()
            hands.ran += timedelta(seconds=10)
            await core.clock.refresh()

            assert await ready() == (200, [])
            assert await core.writer.next_due() is not None
            await core.sweep.settle_all()
            async with core.database.looking() as connection:
                fired = await connection.execute(
                    text("SELECT count(*) FROM event WHERE kind = 'milestone-reached.1'")
                )
                assert fired.scalar_one() >= 1
    finally:
        await service.stop()


async def test_commands_and_rulings_are_counted(settings: Settings) -> None:
    async with writing(settings) as core:
        await core.inbox.submit(_register(1))
        await core.inbox.submit(_register(1))

        page = core.telemetry.page().decode()

    assert 'liandong_commands_total{kind="register-case",outcome="accepted"} 1.0' in page
    assert 'liandong_commands_total{kind="register-case",outcome="repeated"} 1.0' in page
    assert "liandong_rulings_total{item=" in page


def test_a_platform_or_a_division_that_nobody_knows_is_named_before_anything_starts(tmp_path: Path) -> None:
    settings = load_settings(
        None,
        {
            "LIANDONG_DATABASE_URL": f"sqlite:///{tmp_path}/liandong.db",
            "LIANDONG_VAULT_KEY_FILE": str(tmp_path / "vault.key"),
            "LIANDONG_DEPLOYMENT_PLATFORMS": "110-630000,12345-999999",
            "LIANDONG_DEPLOYMENT_DIVISION": "999999",
        },
        folder=tmp_path,
    )

    with pytest.raises(WiringFault) as refused:
        build_service(settings)

    assert "deployment.platforms = 12345-999999" in str(refused.value)
    assert "deployment.division = 999999" in str(refused.value)
    assert "110-630000" not in str(refused.value)


def _chosen(folder: Path, **env: str) -> Settings:
    base = {
        "LIANDONG_DATABASE_URL": f"sqlite:///{folder}/liandong.db",
        "LIANDONG_VAULT_KEY_FILE": str(folder / "vault.key"),
    }
    return load_settings(None, {**base, **env}, folder=folder)


_ONLY_BY_PHONE = """
schema = "notices-1"
[[route]]
to = ["unit-duty-phone"]
channels = ["phone"]
[[route]]
to = ["*"]
channels = ["desk"]
"""


class _Switch:
    async def ring(self, call: DutyCall) -> str:
        return f"call-{call.id}"


async def test_notices_that_could_never_leave_are_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "notices").mkdir()
    (tmp_path / "notices" / "mine.toml").write_text(_ONLY_BY_PHONE)
    settings = _chosen(tmp_path, LIANDONG_DATA_NOTICES=str(tmp_path / "notices"))

    with pytest.raises(WiringFault, match="unit-duty-phone: none of their channels is connected here"):
        build_service(settings)


async def test_with_a_switch_they_leave_and_without_one_a_reload_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "notices"
    folder.mkdir()
    (folder / "mine.toml").write_text(_ONLY_BY_PHONE)
    settings = _chosen(tmp_path, LIANDONG_DATA_NOTICES=str(folder))
    telephony = AdapterSpec(
        kind="telephony",
        carries=frozenset(),
        build=lambda _: Built(attached=Attached(kind="telephony"), caller=_Switch()),
    )

    _, core = build_service(settings, specs=(telephony, *SPECS))

    assert core.caller is not None
    (folder / "mine.toml").write_text(_ONLY_BY_PHONE.replace('"phone"', '"email"'))
    with pytest.raises(WiringFault, match="email"):
        await reload_lists(core)
    await core.database.close()
