"""An urgent case nobody signs for: whom the telephone rings, when, who stands in, what goes by text, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from adapters.notice.channel import Letter, Taken
from adapters.notice.fake_switch import Switch
from adapters.notice.phone import PhoneChannel
from adapters.notice.post import Post
from adapters.notice.reports import Reports
from dispatcher.data_files import packaged_files
from dispatcher.domain import commands as c
from dispatcher.ports import CallEnd, GiveUp, TryLater
from dispatcher.store.receipts import Receipts, ReceiptState
from dispatcher.views.told import CaseNotices, case_notices
from dispatcher.views.viewing import Viewer
from dispatcher.wiring import Core
from routing_rules.duty import Absence
from routing_rules.organisation import Organisation, Person, Roster, Unit
from tests.contracts.conftest import MONDAY
from tests.support.posting import changed
from tests.support.world import HOME, HOTLINE, World, agent, clerk, instead, library, unit_of, world

HEATING = "全楼暖气停了,老人冻得受不了,供热管道爆裂"
UNIT = unit_of("heating")
PHONE, LEADER, DEPUTY, HEAD, SQUAD = (f"1380000000{number}" for number in range(5))
NAMES = {PHONE: "duty phone", LEADER: "duty leader", DEPUTY: "deputy", HEAD: "head", SQUAD: "squad leader"}

LADDER = """
[[ladder]]
id = "nobody-has-it"
name = "紧急件无人签收"
anchor = "limit"
source = "issue: duty phone 0, duty leader +15 min, squad leader and unit head +60 min"
  [[ladder.rung]]
  id = "duty-phone"
  name = "值班电话"
  to = ["unit-duty-phone"]
  level = 2
  after = "0"
  channels = ["phone", "sms", "desk"]
  [[ladder.rung]]
  id = "duty-leader"
  name = "值班领导"
  to = ["unit-duty-leader"]
  level = 3
  after = "15min"
  channels = ["phone", "sms", "desk"]
  [[ladder.rung]]
  id = "head"
  name = "班长与单位负责人"
  to = ["platform-squad-leader", "unit-head"]
  level = 4
  after = "60min"
  channels = ["phone", "sms", "desk"]
"""


def person(name: str, number: str, *, away: date | None = None) -> Person:
    absent = (Absence(first=away, last=away),) if away else ()
    return Person(name=name, phone=number, mobile=number, away=absent)


def organisation(*, leader_away: bool = False) -> Organisation:
    """The demonstration's, with mobiles at the heating company and a unit that runs the hotline."""
    away = MONDAY.date() if leader_away else None
    roster = Roster(
        phone=PHONE,
        mobile=PHONE,
        leaders=(person("领导", LEADER, away=away),),
        deputies=(person("副职", DEPUTY),),
        posts={"unit-head": (person("负责人", HEAD),)},
    )
    hotline = Roster(
        phone=SQUAD,
        leaders=(person("班长", SQUAD),),
        deputies=(person("副班长", DEPUTY),),
        posts={"platform-squad-leader": (person("班长", SQUAD),)},
    )
    units = []
    for unit in library().organisation.units():
        if unit.code == UNIT:
            unit = msgspec.structs.replace(unit, roster=roster)
        if unit.platform == HOTLINE:
            unit = msgspec.structs.replace(unit, roster=hotline)
        units.append(unit)
    return Organisation(units, library().places)


class Texts:
    """A text channel that keeps what it sends, with its time."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.sent: list[tuple[datetime, str, str]] = []
        self.fault: Exception | None = None
        self._now = now

    async def send(self, letter: Letter) -> Taken:
        if self.fault is not None:
            raise self.fault
        self.sent.append((self._now(), letter.address, letter.text))
        return Taken(reference=f"t{len(self.sent)}", tells=False)


class Street:
    """A deployment, its switch and its text channel; `go` lets minutes pass while people answer the telephone or not."""

    def __init__(self, liandong: World, switch: Switch, texts: Texts, reports: Reports) -> None:
        self.liandong = liandong
        self.switch = switch
        self.texts = texts
        self.reports = reports
        self.rung: list[tuple[int, str, str]] = []
        self.answers: dict[str, CallEnd] = {}
        """How calls to a number end; without an entry nobody ever hears of them again."""

    def minute(self) -> int:
        return (self.liandong.clock.now() - MONDAY) // timedelta(minutes=1)

    async def settle(self) -> None:
        await self.liandong.send()
        while self.switch.calls:
            for id_, call in list(self.switch.calls.items()):
                self.rung.append((self.minute(), "phone", NAMES[call.number]))
                del self.switch.calls[id_]
                how = self.answers.get(call.number)
                if how is not None:
                    assert await self.reports.ended(self.switch.name(id_), how)
            await self.liandong.send()

    async def go(self, minutes: int) -> None:
        for _ in range(minutes * 2):
            await self.liandong.pass_time(timedelta(seconds=30))
            await self.settle()

    def told(self) -> list[tuple[int, str, str]]:
        """(minute, channel, whom) of everything that left the house, in order."""
        texts = [
            ((when - MONDAY) // timedelta(minutes=1), "sms", NAMES[number])
            for when, number, _ in self.texts.sent
        ]
        return sorted(self.rung + texts, key=lambda one: (one[0], one[2], one[1]))

    async def urgent(self) -> UUID:
        """An urgent case, assigned and signed for by nobody. The assignment's own call is confirmed."""
        answer = await self.liandong.call_in(HEATING, division="630102")
        await self.liandong.say(c.AssignCase(case=answer.case, lead=UNIT), agent())
        return answer.case

    async def notices(self, case: UUID) -> CaseNotices:
        core = self.liandong.core
        found = await case_notices(Viewer(core.database, agent(), core.library), case)
        assert found is not None
        return found

    async def events(self, case: UUID, kind: str) -> int:
        async with self.liandong.core.database.looking() as connection:
            rows = await connection.exec_driver_sql(
                "SELECT count(*) FROM event WHERE kind = ? AND stream_id = ?", (kind, case.hex)
            )
            return int(rows.scalar_one())


@asynccontextmanager
async def street(template: Path, folder: Path, **more: Any) -> AsyncIterator[Street]:
    shutil.copy(template, folder / "liandong.db")
    policy = folder / "policy"
    policy.mkdir()
    for name, content in packaged_files("policy").items():
        text = content.decode()
        before, _, after = text.partition('[[ladder]]\nid = "nobody-has-it"')
        rest = after.partition("\n[[ladder]]")[2]
        assert rest, "the packaged policy has no such ladder any more"
        (policy / name).write_text(f"{before}{LADDER}\n[[ladder]]{rest}")
    made: list[Street] = []
    switch = Switch()

    def make(core: Core) -> Post:
        receipts = Receipts(core.database)
        texts = Texts(core.clock.now)
        reports = Reports(receipts, core.outbox, core.clock, lambda: None)
        switch.ends = reports
        made.append(Street(None, switch, texts, reports))  # type: ignore[arg-type]
        units = organisation(**more)
        return Post(
            {"phone": PhoneChannel(switch, language="zh-CN", key="1"), "sms": texts},
            core_reads(core),
            receipts,
            core.inbox,
            lambda: changed(core.library(), organisation=units),
            core.clock,
            digest=core.vault.number_digest,
        )

    url = f"sqlite:///{folder / 'liandong.db'}"
    async with world(
        url, folder, MONDAY, specs=instead("notice", make), LIANDONG_DATA_POLICY=str(policy)
    ) as liandong:
        (one,) = made
        one.liandong = liandong
        yield one


def core_reads(core: Core) -> Any:
    from dispatcher.views.outgoing import OutgoingCases

    return OutgoingCases(core.database, core.vault)


async def test_nobody_signs_and_nobody_answers(sqlite_template: Path, tmp_path: Path) -> None:
    """Duty phone at the limit and by text when nobody picks up, leader a quarter later, squad leader and head after an
    hour; each rung exactly once, and no other notice."""
    async with street(sqlite_template, tmp_path) as here:
        here.answers = dict.fromkeys(NAMES, CallEnd.NO_ANSWER)
        case = await here.urgent()

        await here.go(95)

        assert here.told() == [
            (0, "phone", "duty phone"), (0, "sms", "duty phone"),
            (30, "phone", "duty phone"), (30, "sms", "duty phone"),
            (45, "phone", "duty leader"), (45, "sms", "duty leader"),
            (90, "phone", "head"), (90, "sms", "head"),
            (90, "phone", "squad leader"), (90, "sms", "squad leader"),
        ]  # fmt: skip
        shown = await here.notices(case)
        assert [(way.channel, way.state) for way in shown.notices[-1].ways] == [
            ("phone", "failed"),
            ("sms", "taken"),
        ]
        assert shown.notices[-1].ways[0].why == "nobody answered"
        assert [(one.role, one.template) for one in shown.notices] == [
            ("unit-duty-phone", "assigned"),
            ("unit-duty-phone", "sign.limit"),
            ("unit-duty-leader", "sign.rung:duty-leader"),
            ("platform-squad-leader", "sign.rung:head"),
            ("unit-head", "sign.rung:head"),
        ]
        assert await here.events(case, "notice-diverted.1") == 5
        assert await here.liandong.core.outbox.dead_letters() == []


async def test_whoever_confirms_is_not_texted_and_the_ladder_goes_on_until_somebody_signs(
    sqlite_template: Path, tmp_path: Path
) -> None:
    async with street(sqlite_template, tmp_path) as here:
        here.answers = dict.fromkeys(NAMES, CallEnd.CONFIRMED)
        case = await here.urgent()
        await here.go(50)
        await here.liandong.say(c.SignFor(case=case), clerk(UNIT))

        await here.go(60)

        assert here.told() == [
            (0, "phone", "duty phone"),
            (30, "phone", "duty phone"),
            (45, "phone", "duty leader"),
        ]
        assert await here.events(case, "notice-confirmed.1") == 3
        assert await here.events(case, "notice-diverted.1") == 0


async def test_a_deputy_is_rung_where_the_leader_is_away(sqlite_template: Path, tmp_path: Path) -> None:
    async with street(sqlite_template, tmp_path, leader_away=True) as here:
        here.answers = dict.fromkeys(NAMES, CallEnd.CONFIRMED)
        case = await here.urgent()

        await here.go(46)

        assert here.told()[-1] == (45, "phone", "deputy")
        leader = (await here.notices(case)).notices[-1]
        assert (leader.role, leader.ways[0].person) == ("unit-duty-leader", "副职")


async def test_a_call_the_switch_loses_is_not_waited_for_long(sqlite_template: Path, tmp_path: Path) -> None:
    async with street(sqlite_template, tmp_path) as here:
        case = await here.urgent()

        await here.go(4)

        assert here.told() == [(0, "phone", "duty phone"), (2, "sms", "duty phone")]
        assert (await here.notices(case)).notices[-1].ways[0].why == "no word that it arrived"


async def test_nobody_is_texted_for_what_was_signed_for_while_it_rang(
    sqlite_template: Path, tmp_path: Path
) -> None:
    async with street(sqlite_template, tmp_path) as here:
        here.answers = {PHONE: CallEnd.CONFIRMED}
        case = await here.urgent()
        await here.go(30)
        del here.answers[PHONE]  # the limit's own call is lost
        await here.liandong.pass_time(timedelta(seconds=30))
        await here.settle()
        await here.liandong.say(c.SignFor(case=case), clerk(UNIT))

        await here.go(10)

        assert [one for one in here.told() if one[1] == "sms"] == []
        assert await here.liandong.core.outbox.dead_letters() == []


async def test_where_no_way_is_left_the_desk_has_it_and_the_case_says_so(
    sqlite_template: Path, tmp_path: Path
) -> None:
    async with street(sqlite_template, tmp_path) as here:
        here.answers = {PHONE: CallEnd.BUSY}
        here.texts.fault = GiveUp("the gateway refused with code 1007")
        case = await here.urgent()

        await here.go(1)

        (notice,) = [one for one in (await here.notices(case)).notices if one.role == "unit-duty-phone"]
        assert [(way.channel, way.state, way.why) for way in notice.ways] == [
            ("phone", "failed", "the line was busy"),
            ("sms", "failed", "the gateway refused with code 1007"),
            ("webhook", "skipped", "this channel is not connected here"),
            ("desk", "taken", ""),
        ]
        assert await here.events(case, "notice-diverted.1") == 1


async def test_an_urgent_text_is_not_tried_twice_before_the_next_way(
    sqlite_template: Path, tmp_path: Path
) -> None:
    async with street(sqlite_template, tmp_path) as here:
        here.answers = {PHONE: CallEnd.BUSY}
        here.texts.fault = TryLater("the gateway cannot be reached")
        case = await here.urgent()

        await here.go(1)

        (notice,) = [one for one in (await here.notices(case)).notices if one.role == "unit-duty-phone"]
        states = {way.channel: (way.state, way.tries) for way in notice.ways}
        assert states["sms"] == (ReceiptState.FAILED.value, 1)
        assert states["desk"][0] == "taken"


def test_the_unit_that_runs_a_platform_is_found_by_it() -> None:
    unit = organisation().running(HOTLINE)

    assert isinstance(unit, Unit)
    assert HOME == "630000"
