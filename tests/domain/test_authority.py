"""Every command and every role: who may send what, to which cases, and who may not even know of one."""

from __future__ import annotations

from typing import get_args
from uuid import UUID

import pytest

from dispatcher.domain import commands as c
from dispatcher.domain.authority import ROLES, permit, sees, within
from dispatcher.domain.case import Case
from dispatcher.domain.errors import NotFound, NotYours
from dispatcher.domain.stream import SYSTEM, Actor, Role
from dispatcher.domain.values import Result, ReturnReason, SafeContact
from tests.support.cases import LAMP, LIGHTING, MARKET, CaseBook
from tests.support.library import AGENT, HOTLINE, POLICE, POLICE_AGENT, SUPERVISOR, clerk, library, staff
from tests.support.strategies import ALL_COMMANDS, BUREAU, HUANGZHONG, SECTION, STATION, WATERWORKS, action

DESK = {Role.AGENT_12345, Role.AGENT_110, Role.SQUAD_LEADER, Role.SUPERVISOR, Role.LINKAGE_ADMIN}
UNIT = {Role.CLERK, Role.LEAD}
QUALITY = {Role.QUALITY}
PEER = {Role.PEER}
LIAISON = {Role.LIAISON}
SYSTEM_ROLE = {Role.SYSTEM}
CHIEFS = {Role.SQUAD_LEADER, Role.SUPERVISOR, Role.LINKAGE_ADMIN}
CAD = {Role.AGENT_110, Role.SQUAD_LEADER} | LIAISON | PEER
ADMINS = {Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN}

MATRIX: dict[str, set[Role]] = {
    "register-case": DESK | PEER,
    "supplement-case": DESK | UNIT | PEER,
    "rule-case": DESK,
    "override-ruling": DESK,
    "transfer-case": DESK,
    "confirm-transfer": DESK | PEER | LIAISON | SYSTEM_ROLE,
    "report-transfer-failed": DESK | PEER | LIAISON | SYSTEM_ROLE,
    "agree-taker": DESK,
    "hand-over-case": DESK | LIAISON | PEER,
    "confirm-hand-over": DESK | PEER | LIAISON | SYSTEM_ROLE,
    "report-hand-over-failed": DESK | PEER | LIAISON | SYSTEM_ROLE,
    "report-peer-result": DESK | PEER | LIAISON | SYSTEM_ROLE,
    "guide-caller": DESK,
    "answer-at-once": DESK,
    "assign-case": DESK,
    "recall-dispatch": DESK,
    "offer-claim": DESK,
    "claim-case": UNIT,
    "sign-for": UNIT,
    "contact-citizen": UNIT | DESK,
    "sub-assign": UNIT,
    "recall-sub-assignment": UNIT,
    "ask-return": UNIT,
    "decide-return": CHIEFS | {Role.AGENT_12345},
    "adjudicate-case": CHIEFS,
    "ask-extension": UNIT,
    "decide-extension": CHIEFS,
    "ask-pause": UNIT,
    "decide-pause": CHIEFS,
    "resume-case": UNIT | DESK,
    "reply-case": UNIT,
    "send-back-sub-reply": UNIT,
    "approve-reply": DESK | QUALITY,
    "send-back-reply": DESK | QUALITY,
    "deliver-reply": DESK,
    "close-case": DESK,
    "propose-unreasonable": DESK | UNIT,
    "decide-unreasonable": CHIEFS | QUALITY,
    "appeal-unreasonable": DESK,
    "call-back": DESK | QUALITY,
    "rate-case": DESK | QUALITY,
    "verify-rating": DESK | QUALITY,
    "redo-case": CHIEFS | QUALITY,
    "urge-case": DESK,
    "supervise-case": CHIEFS,
    "attach-follower": DESK,
    "leave-parent": DESK,
    "merge-case": DESK,
    "withdraw-case": DESK,
    "report-unit-sent": CAD,
    "report-arrived": CAD,
    "report-feedback": CAD,
    "close-police-order": CAD,
    "expire-deadline": SYSTEM_ROLE,
    "report-notice-failed": SYSTEM_ROLE,
    "report-notice-diverted": SYSTEM_ROLE,
    "report-notice-confirmed": SYSTEM_ROLE,
    "repair-deadline": SYSTEM_ROLE,
    "report-quarantined": SYSTEM_ROLE,
    "report-repeat": SYSTEM_ROLE,
    "report-surge": SYSTEM_ROLE,
    "hold-case": {Role.AUDIT_ADMIN, Role.SECURITY_ADMIN},
    "release-hold": {Role.AUDIT_ADMIN, Role.SECURITY_ADMIN},
    "erase-case": {Role.AUDIT_ADMIN} | SYSTEM_ROLE,
    "move-deadlines": {Role.LINKAGE_ADMIN} | SYSTEM_ROLE,
}
"""Written down a second time on purpose: a change of who may do what is a change of this table too."""


@pytest.fixture(scope="module")
def book() -> CaseBook:
    return CaseBook()


@pytest.fixture(scope="module")
def case(book: CaseBook) -> Case:
    return book.case(book.signed())


def _somebody(role: Role, case: Case) -> Actor:
    """Somebody of this role who is near enough to the case for his role to be what decides."""
    if role in UNIT:
        return Actor(id="someone", roles=(role,), unit=case.lead, division=case.division)
    if role in ADMINS:
        return Actor(id="someone", roles=(role,), division="630000")
    return staff(case.platform, role)


def _sample(command: type[c.AnyCommand], case: Case) -> c.AnyCommand:
    if command is c.RegisterCase:
        return c.RegisterCase(case=UUID(int=7), platform=case.platform, number="N", words=LAMP)

    def first_of_kind(among):  # type: ignore[no-untyped-def]
        kinds = [one for one in among if one is command]
        return kinds[0] if kinds else (9 if among and among[0] == 0 and len(among) == 10 else among[0])

    made, _ = action(first_of_kind, case, [case])
    assert type(made) is command
    return made


def test_the_matrix_names_every_command() -> None:
    assert set(MATRIX) == {c.name_of(command) for command in get_args(c.AnyCommand)}
    assert set(ROLES) == set(ALL_COMMANDS)


@pytest.mark.parametrize("command", ALL_COMMANDS, ids=c.name_of)
def test_a_role_sends_what_the_matrix_says_and_nothing_else(command: type[c.AnyCommand], case: Case) -> None:
    for role in Role:
        actor = _somebody(role, case)
        sent = _sample(command, case)
        may = role in MATRIX[c.name_of(command)]
        try:
            permit(actor, sent, None if command is c.RegisterCase else case, library())
            let = True
        except NotYours as refused:
            let = refused.field != "roles"
            if refused.field in ("unit", "platform"):
                let = may  # the role fits; whose case or line it is decides
        assert let == may, f"{role} and {c.name_of(command)}"


# who knows of a case


@pytest.mark.parametrize(
    ("actor", "known"),
    [
        (AGENT, True),
        (SUPERVISOR, True),
        (SYSTEM, True),
        (staff("12345-630000", Role.SUPERVISOR), True),
        (staff("12345-630200", Role.AGENT_12345), False),
        (staff("12345-630200", Role.SUPERVISOR), False),
        (POLICE_AGENT, False),
        (staff("110-630100", Role.SQUAD_LEADER), False),
        (staff(POLICE, Role.PEER), False),
        (staff(HOTLINE, Role.PEER), True),
        (clerk(LIGHTING), True),
        (clerk(MARKET), False),
        (Actor(id="a", roles=(Role.AUDIT_ADMIN,), division="630000"), True),
        (Actor(id="a", roles=(Role.AUDIT_ADMIN,), division="630200"), False),
        (Actor(id="a", roles=(Role.SYSTEM_ADMIN,), division="630000"), False),
        (Actor(id="nobody", roles=()), False),
    ],
    ids=lambda value: value.id if isinstance(value, Actor) else "",
)
def test_a_case_is_known_to_those_who_have_a_part_in_it(actor: Actor, known: bool, case: Case) -> None:
    assert sees(actor, case, library()) == known


def test_whoever_has_no_part_in_a_case_is_told_there_is_none() -> None:
    book = CaseBook()
    case = book.signed()

    with pytest.raises(NotFound):
        book.do(c.SupplementCase(case=case, words="补充"), clerk(MARKET))
    with pytest.raises(NotFound):
        book.do(c.SuperviseCase(case=case, words="督办"), staff("12345-630200", Role.SUPERVISOR))


def test_a_peer_sees_what_it_passed_or_was_passed_and_no_more() -> None:
    book = CaseBook()
    given, own = book.register(LAMP), book.register(LAMP)
    book.do(c.HandOverCase(case=given, to=POLICE, reason="转办"))
    peer = staff(POLICE, Role.PEER)

    assert sees(peer, book.case(given), library())
    assert not sees(peer, book.case(own), library())
    with pytest.raises(NotYours):
        book.do(c.HandOverCase(case=given, to="12345-630000", reason="再转"), peer)
    book.do(c.ConfirmHandOver(case=given, number="J1"), peer)


def test_a_unit_that_gave_the_case_back_no_longer_knows_of_it() -> None:
    book = CaseBook()
    case = book.assigned()
    book.do(
        c.AskReturn(case=case, reason=ReturnReason.NOT_OUR_AREA, item="辖区", words="不在辖区"),
        clerk(LIGHTING),
    )
    book.do(c.DecideReturn(case=case, accept=True), SUPERVISOR)

    assert not sees(clerk(LIGHTING), book.case(case), library())


def test_a_department_account_without_a_unit_acts_for_no_unit() -> None:
    book = CaseBook()
    case = book.signed()

    with pytest.raises(NotYours):
        book.do(
            c.ReplyCase(case=case, words="已修好", result=Result.SOLVED),
            staff(HOTLINE, Role.CLERK),
        )


@pytest.mark.parametrize(
    ("by", "command"),
    [
        (SECTION, c.AskReturn),
        (SECTION, c.AskExtension),
        (BUREAU, c.ReplyCase),
        (WATERWORKS, c.ReplyCase),
        (WATERWORKS, c.SubAssign),
        (STATION, c.RecallSubAssignment),
    ],
)
def test_in_a_tree_each_does_its_own_part(by: str, command: type[c.AnyCommand]) -> None:
    book = CaseBook()
    case = book.register(LAMP, division=HUANGZHONG)
    book.do(c.AssignCase(case=case, lead=BUREAU, co=(WATERWORKS,)))
    book.do(c.SignFor(case=case), clerk(BUREAU))
    book.do(c.SubAssign(case=case, unit=SECTION, words="第3项"), clerk(BUREAU))
    book.do(c.SubAssign(case=case, unit=STATION, words="第3项"), clerk(SECTION))

    with pytest.raises(NotYours) as refused:
        book.do(_sample(command, book.case(case)), clerk(by))

    assert refused.value.field == "unit"


def test_a_desk_does_not_touch_a_second_case_that_it_may_not_know_of() -> None:
    book = CaseBook()
    mine = book.register(LAMP)
    theirs = book.register(LAMP, platform=POLICE)

    with pytest.raises(NotFound):
        book.do(c.AttachFollower(case=mine, other=theirs, reason="同一事"))
    with pytest.raises(NotFound):
        book.do(c.MergeCase(case=mine, other=UUID(int=9), reason="同一事"))


@pytest.mark.parametrize(
    ("actor", "platform"),
    [
        (AGENT, POLICE),
        (POLICE_AGENT, HOTLINE),
        (staff("12345-630200", Role.AGENT_12345), HOTLINE),
        (staff(HOTLINE, Role.AGENT_110), HOTLINE),
        (clerk(LIGHTING), HOTLINE),
    ],
)
def test_cases_are_registered_by_agents_of_that_line_and_region(actor: Actor, platform: str) -> None:
    book = CaseBook()

    with pytest.raises(NotYours):
        book.register(LAMP, platform=platform, by=actor, safe_contact=SafeContact())


def test_an_id_that_is_taken_is_said_to_be_taken_only_to_those_who_may_know() -> None:
    book = CaseBook()
    case = book.register(LAMP)
    again = c.RegisterCase(case=case, platform=HOTLINE, number="N", words=LAMP)

    with pytest.raises(Exception, match="with this id"):
        book.do(again, AGENT)
    with pytest.raises(NotFound):
        book.do(again, POLICE_AGENT)


@pytest.mark.parametrize(
    ("division", "region", "inside"),
    [
        ("630102", "630000", True),
        ("630102", "630100", True),
        ("630102", "630102", True),
        ("630102003", "630102", True),
        ("630202", "630100", False),
        ("620102", "630000", False),
        ("630102", "", False),
    ],
)
def test_divisions_nest_by_pairs_of_digits(division: str, region: str, inside: bool) -> None:
    assert within(division, region) == inside
