"""The deadline policy: the packaged one says what the plan says; a bad one names all its faults at once."""

from __future__ import annotations

from datetime import time, timedelta
from typing import get_args

import pytest

from dispatcher.data_files import packaged_files
from dispatcher.domain import events as e
from routing_rules.policy import AtLimit, Clock, Limit, Policy
from routing_rules.policy_files import compile_policy
from routing_rules.ruling import Urgency
from routing_rules.strict import DataFault

WORDS = frozenset(e.word_of(event) for event in get_args(e.AnyEvent))
POLICY = compile_policy(packaged_files("policy"), events=WORDS)

SMALL = """
id = "small"
name = "小"
source = "test"

[count]
extension_days_most = 10
extensions_most = 1
returns_before_adjudication = 1
holders_before_adjudication = 2
pause_days_most = 5
pauses_most = 1
callback_attempts = 3
redos_most = 1
danger_watch_minutes = 120

[hour]
extension_cutoff = "17:00"
callback_from = "08:30"
callback_until = "20:00"
rung_at = "09:00"

[[clock]]
id = "handle"
name = "承办"
source = "test"
calendar = "unit"
starts = ["case-assigned"]
stops = ["reply-submitted"]
  [[clock.limit]]
  working_days = 10
  target_days = 5
  ladder = "late"

[[ladder]]
id = "late"
name = "逾期"
anchor = "limit"
source = "test"
  [[ladder.rung]]
  id = "urge"
  name = "催办"
  to = ["unit-lead"]
  level = 1
  after_days = 1
  at = "09:00"
  [[ladder.rung]]
  id = "head"
  name = "领导"
  to = ["unit-head"]
  level = 2
  after_days = 3
  at = "09:00"
"""


def _faults(text: str) -> list[tuple[str, str]]:
    with pytest.raises(ExceptionGroup) as refused:
        compile_policy({"policy.toml": text.encode()}, events=WORDS)
    faults = [fault for fault in refused.value.exceptions if isinstance(fault, DataFault)]
    assert len(faults) == len(refused.value.exceptions)
    return [(fault.field, str(fault.value)) for fault in faults]


def _limit(clock: str, urgency: Urgency, *, danger: bool = False, utility: bool = False) -> Limit:
    for limit in POLICY.clock(clock).limits:
        when = limit.when
        if when.line or (when.urgency and urgency not in when.urgency):
            continue
        if when.danger not in (None, danger) or when.utility not in (None, utility):
            continue
        return limit
    raise AssertionError(f"{clock} has no limit for {urgency}")


# the plan's numbers


@pytest.mark.parametrize(
    ("urgency", "target", "hard"),
    [
        (Urgency.general, 5, 10),
        (Urgency.complex, 10, 15),
        (Urgency.joint, None, 20),
        (Urgency.urgent, None, 1),
    ],
)
def test_units_have_the_days_of_the_plan(urgency: Urgency, target: int | None, hard: int) -> None:
    limit = _limit("handle", urgency)

    assert (limit.target_days, limit.working_days) == (target, hard)
    assert limit.natural == (timedelta(hours=24) if urgency is Urgency.urgent else None)


@pytest.mark.parametrize("clock", ["hand-over", "assign", "adjudicate", "verify-rating", "return"])
def test_what_the_plan_gives_one_working_day_has_one(clock: str) -> None:
    assert _limit(clock, Urgency.general).working_days == 1


def test_an_extension_has_at_most_ten_days_and_is_decided_by_noon_of_the_next() -> None:
    assert POLICY.counts["extension_days_most"] == 10
    assert POLICY.hours["extension_cutoff"] == time(17)
    assert _limit("extension", Urgency.general).close_at == time(12)


def test_an_urgent_case_is_never_deemed_signed() -> None:
    for danger in (True, False):
        for utility in (True, False):
            limit = _limit("sign", Urgency.urgent, danger=danger, utility=utility)
            ladder = POLICY.ladder(limit.ladder)
            assert limit.at_limit is AtLimit.NOTHING
            assert ladder is not None
            assert ladder.repeat_last is not None, "until a person confirms"
    assert _limit("sign", Urgency.general).at_limit is AtLimit.DEEM_SIGNED


def test_signing_takes_fifteen_minutes_in_danger_and_thirty_for_utilities() -> None:
    assert _limit("sign", Urgency.urgent, danger=True).natural == timedelta(minutes=15)
    assert _limit("sign", Urgency.general, utility=True).natural == timedelta(minutes=30)


def test_every_clock_cites_its_source_and_has_a_limit_for_every_case() -> None:
    for clock in POLICY.clocks:
        assert clock.source
        if clock.id == "consultation":  # runs only for what nobody agreed on
            continue
        assert _is_for_everything(clock), f"{clock.id}: some cases have no limit"


def _is_for_everything(clock: Clock) -> bool:
    last = clock.limits[-1].when
    return last == type(last)() or {word for limit in clock.limits for word in limit.when.urgency} == set(
        Urgency
    )


def test_every_clock_stops_when_the_case_ends() -> None:
    for clock in POLICY.clocks:
        if "case-closed" in clock.starts or clock.id in ("callback", "verify-rating", "archive"):
            assert "case-archived" in clock.stops
        elif clock.id != "deliver":
            assert "case-withdrawn" in clock.stops, clock.id


def test_the_same_policy_has_the_same_version_and_a_changed_one_another() -> None:
    files = packaged_files("policy")
    other = {name: content.replace(b'natural = "60s"', b'natural = "61s"') for name, content in files.items()}

    assert compile_policy(files).digest == POLICY.digest
    assert compile_policy(other).digest != POLICY.digest


# bad files


def test_a_small_policy_is_read_as_it_is_written() -> None:
    policy: Policy = compile_policy({"policy.toml": SMALL.encode()}, events=WORDS)

    ladder = policy.ladder("late")
    assert ladder is not None
    assert [(rung.id, rung.after_days, rung.at) for rung in ladder.rungs] == [
        ("urge", 1, time(9)),
        ("head", 3, time(9)),
    ]
    with pytest.raises(KeyError):
        policy.clock("nothing")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('starts = ["case-assigned"]', 'starts = ["case-assinged"]', ("starts", "case-assinged")),
        ('stops = ["reply-submitted"]', "stops = []", ("stops", "[]")),
        ("working_days = 10", "working_days = 4", ("target_days", "5")),
        ("working_days = 10", "working_days = 500", ("working_days", "500")),
        ('ladder = "late"', 'ladder = "later"', ("ladder", "later")),
        ('anchor = "limit"', 'anchor = "end"', ("anchor", "end")),
        ('to = ["unit-lead"]', 'to = ["boss"]', ("to", "boss")),
        ("after_days = 3", "after_days = 0", ("after_days", "['1', '0']")),
        ("level = 2", "level = 1", ("level", "[1, 1]")),
        ('extension_cutoff = "17:00"', 'extension_cutoff = "five"', ("extension_cutoff", "five")),
        ("redos_most = 1", "redos_most = -1", ("redos_most", "-1")),
    ],
)
def test_a_fault_names_its_field_and_value(old: str, new: str, fault: tuple[str, str]) -> None:
    assert old in SMALL

    assert fault in _faults(SMALL.replace(old, new))


def test_all_faults_are_told_at_once() -> None:
    bad = (
        SMALL.replace('ladder = "late"', 'ladder = "later"')
        .replace("redos_most = 1\n", "")
        .replace('to = ["unit-lead"]', "to = []")
    )

    fields = {field for field, _ in _faults(bad)}

    assert {"ladder", "redos_most", "to"} <= fields


_RUNG = """
  [[ladder.rung]]
  id = "extra"
  name = "另"
  to = ["unit-lead"]
  level = 3
"""
_SECOND = """
[[ladder]]
id = "other"
name = "另"
anchor = "limit"
source = "test"
then = "late"
  [[ladder.rung]]
  id = "first"
  name = "首"
  to = ["unit-lead"]
  level = 1
  after = "1h"
"""


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (_SECOND, ("id", "other")),  # no limit names it
        ('\n[[ladder]]\nid = "x"\nname = "x"\nanchor = "limit"\nsource = "t"\nrung = []\n', ("rung", "[]")),
        (_RUNG + "  before_days = 10\n", ("rung", "extra")),  # the limit has ten days: never
        (_RUNG + '  before = "30d"\n', ("rung", "extra")),
        (_RUNG + '  after = "1h"\n  after_days = 4\n', ("after", "['after', 'after_days']")),
        (_RUNG, ("after", "[]")),
        (_RUNG + "  after_days = 4\n  quiet = true\n", ("quiet", "extra")),  # no quiet hours are given
        (_RUNG + '  after_days = 4\n  text = "{name}"\n', ("text", "{name}")),
        (_RUNG + '  after_days = 4\n  channels = ["pigeon"]\n', ("channels", "['pigeon']")),
        (_RUNG.replace("extra", "urge") + "  after_days = 4\n", ("id", "urge")),
    ],
)
def test_what_can_never_fire_or_reaches_nobody_is_refused(more: str, fault: tuple[str, str]) -> None:
    assert fault in _faults(SMALL + more)


def test_ladders_that_go_round_are_refused_with_the_way_round() -> None:
    with pytest.raises(ExceptionGroup) as refused:
        round_ = SMALL.replace('id = "late"\n', 'id = "late"\nthen = "other"\n') + _SECOND
        compile_policy({"policy.toml": round_.encode()}, events=WORDS)

    assert "late → other → late" in str([str(one) for one in refused.value.exceptions])


def test_a_ladder_goes_on_with_another() -> None:
    tail = _SECOND.replace('then = "late"\n', "").replace("level = 1", "level = 3").replace('"1h"', '"9d"')
    policy = compile_policy(
        {"policy.toml": (SMALL.replace('id = "late"\n', 'id = "late"\nthen = "other"\n') + tail).encode()}
    )

    ladder = policy.ladder("late")
    assert ladder is not None
    assert [rung.id for rung in ladder.rungs] == ["urge", "head", "first"]


def test_a_ladder_after_one_that_repeats_for_ever_can_never_fire() -> None:
    text = SMALL.replace('id = "late"\n', 'id = "late"\nthen = "other"\nrepeat_last = "1d"\n')
    tail = _SECOND.replace('then = "late"\n', "").replace("level = 1", "level = 3")

    assert ("then", "other") in _faults(text + tail)


def test_a_limit_behind_one_that_holds_for_all_its_cases_is_refused() -> None:
    second = """
  [[clock.limit]]
  when = { urgency = ["general"], danger = true }
  working_days = 2
"""
    first = SMALL.replace(
        '  working_days = 10\n  target_days = 5\n  ladder = "late"\n',
        '  when = { urgency = ["general", "complex"] }\n  working_days = 10\n  target_days = 5\n  ladder = "late"\n'
        + second,
    )

    assert any(field == "when" for field, _ in _faults(first))


def test_a_window_that_closes_has_no_ladder_for_nobody_is_late() -> None:
    text = SMALL.replace('  ladder = "late"\n', '  ladder = "late"\n  at_limit = "close-window"\n')

    assert ("ladder", "late") in _faults(text)


@pytest.mark.parametrize(
    "rule", ["every second Tuesday", "FREQ=SOMETIMES", "FREQ=DAILY;UNTIL=20200101T000000"]
)
def test_a_meeting_that_never_comes_round_is_refused(rule: str) -> None:
    meeting = f'\n[[meeting]]\nid = "m"\nname = "会"\nsource = "t"\nrule = "{rule}"\nat = "15:00"\n'

    assert ("rule", rule) in _faults(SMALL + meeting)


def test_a_rung_waits_for_quiet_hours_only_where_the_policy_has_them() -> None:
    quiet = SMALL.replace('rung_at = "09:00"', 'rung_at = "09:00"\nquiet_from = "22:00"')

    assert ("quiet_from", "None") in _faults(quiet)
