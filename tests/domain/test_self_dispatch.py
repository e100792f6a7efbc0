"""What an owner lets go without a person: sure and plain cases only, to be recalled in ten minutes, one in twenty kept aside."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import pytest

from dispatcher.data_files import packaged_files
from dispatcher.domain import commands as c
from dispatcher.domain import events as e
from dispatcher.domain.errors import AgainstRule, Refused
from dispatcher.domain.library import Library
from dispatcher.domain.values import Stage
from dispatcher.shelf import renewed
from routing_rules.loader import compile_rulebook
from tests.rules.test_loader import faults
from tests.support.cases import CaseBook
from tests.support.library import library

LINE = 'category = "城乡建设/道路设施/路灯"'
LAMP = "小区门口的路灯不亮"


@cache
def chosen(line: float = 0.85) -> Library:
    """The shipped lists, whose owner lets the street lamps go."""
    files = {
        f"{folder}/{name}": text
        for folder in ("lists", "lexicon")
        for name, text in packaged_files(folder).items()
    }
    hotline = files["lists/hotline.toml"].decode()
    assert LINE in hotline
    files["lists/hotline.toml"] = hotline.replace(LINE, f"{LINE}\nself_dispatch = {line}").encode()
    whole = library()
    return renewed(
        whole, policies=whole.all_policies(), calendars=whole.calendars, book=compile_rulebook(files)
    )


def test_a_plain_case_of_a_chosen_item_is_assigned_at_once_and_its_clocks_run() -> None:
    book = CaseBook(releases=chosen())
    case = book.case(book.register(LAMP))

    assert case.stage is Stage.ASSIGNED
    assert chosen().organisation.unit(case.lead).kind == "urban-management"
    assert case.recall_until == book.now + timedelta(minutes=10)
    assert {run.clock for run in case.running} >= {"total", "sign"}


def test_nothing_goes_without_a_person_unless_an_owner_chose_it() -> None:
    book = CaseBook(releases=library())

    assert book.case(book.register(LAMP)).stage is Stage.RULED
    sure = CaseBook(releases=chosen(0.99))
    assert sure.case(sure.register(LAMP)).stage is Stage.RULED


@pytest.mark.parametrize(
    "words",
    [
        "路灯杆漏电,有人被电倒了",
        "举报有人偷路灯的电线卖钱",
        "路灯不亮,请不要透露我的姓名",
        "路灯不亮,反映多次,路灯管理所的干部态度恶劣,我要投诉",
        "路灯不亮,商场的空调外机也响得睡不着,吵得邻居直骂",
    ],
)
def test_danger_reports_confidential_and_complaints_wait_for_a_person(words: str) -> None:
    book = CaseBook(releases=chosen())
    case = book.case(book.register(words))

    assert case.stage is not Stage.ASSIGNED


def test_it_can_be_recalled_for_ten_minutes_and_waits_at_the_desk_again() -> None:
    book = CaseBook(releases=chosen())
    id_ = book.register(LAMP)
    book.wait(timedelta(minutes=10))

    made = book.do(c.RecallDispatch(case=id_, reason="应归电力"))

    case = book.case(id_)
    assert [type(each) for each in made] == [e.HolderRelieved, e.DispatchRecalled, e.AssignmentDue]
    assert (case.stage, case.lead, case.holders, case.recall_until) == (Stage.RULED, "", 0, None)
    assert "assign" in {run.clock for run in case.running}
    with pytest.raises(Refused):
        book.do(c.RecallDispatch(case=id_, reason="再收回"))


def test_after_ten_minutes_it_is_too_late_and_a_person_who_assigns_ends_the_window() -> None:
    book = CaseBook(releases=chosen())
    late, again = book.register(LAMP), book.register(LAMP)
    book.do(c.RecallDispatch(case=again, reason="换单位"))
    unit = chosen().organisation.resolve("power", "630102")
    assert unit is not None
    book.do(c.AssignCase(case=again, lead=unit.code))
    with pytest.raises(Refused):
        book.do(c.RecallDispatch(case=again, reason="再收回"))

    book.wait(timedelta(minutes=10, seconds=1))
    with pytest.raises(AgainstRule, match="recall"):
        book.do(c.RecallDispatch(case=late, reason="太晚"))


def test_one_in_twenty_is_kept_aside() -> None:
    book = CaseBook(releases=chosen())
    sampled = [book.case(book.register(LAMP)).sampled for _ in range(400)]

    assert 8 <= sum(sampled) <= 36


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("self_dispatch", "0.9\ncontested = true"),
        ("self_dispatch", '0.9\nkind = "举报"'),
        ("self_dispatch", "0.4"),
        ("sampled", "0\nself_dispatch = 0.9"),
        ("recall_minutes", "0\nself_dispatch = 0.9"),
        ("self_dispatch", '0.9\nabout = "unit"'),
    ],
)
def test_a_list_that_lets_go_what_a_person_must_see_is_refused(field: str, value: str) -> None:
    from tests.rules.test_loader import LAST
    from tests.rules.test_overlays import PROVINCE

    row = PROVINCE.replace('guidance = "省里的说法"', f"{field} = {value}")
    assert {fault.field for fault in faults(a=LAST + row)} == {field}
