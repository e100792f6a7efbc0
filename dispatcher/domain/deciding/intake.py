"""Registering, ruling and overriding: what a call or message is, and who should own it."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from msgspec.structs import replace

from dispatcher.domain import commands as c
from dispatcher.domain import events as e
from dispatcher.domain.authority import is_about
from dispatcher.domain.deciding import checks
from dispatcher.domain.deciding.units import assign_unattended
from dispatcher.domain.draft import Draft
from dispatcher.domain.errors import AgainstRule, BadField
from dispatcher.domain.library import SHORT
from dispatcher.domain.stream import Role
from dispatcher.domain.values import Line, Matter, Stage
from routing_rules.recommend import Recommended, category_of
from routing_rules.ruling import Decision, Hints, Ruling, Urgency

OLDEST_LIVE = timedelta(minutes=15)
"""How far back a live intake may name its receipt; anything older is an import."""
OLDEST_FIRST = timedelta(days=366)
"""How far back another platform's first receipt may lie on a live intake."""
SURE = 0.5
"""How confident a ruling must be that raises the urgency of a case already ruled."""
AWAY = frozenset({Stage.PASSED, Stage.HANDED_OVER})
"""Diverted: on another platform, under our watch."""
ENDED = frozenset(
    {Stage.GUIDED, Stage.ANSWERED, Stage.CLOSED, Stage.CALLED_BACK, Stage.ARCHIVED}
    | {Stage.MERGED, Stage.WITHDRAWN}
)
MOST_TITLE = 200


def register(draft: Draft, command: c.RegisterCase) -> None:
    """Register, rule and start the clocks, in one decision. Danger starts its transfer here and now."""
    checks.platform("platform", command.platform, draft)
    checks.words("title", command.title, needed=False, most=MOST_TITLE)
    checks.words("words", command.words, needed=False)
    checks.division("division", command.division, draft)
    if not command.number:
        raise BadField("{field} must not be empty.", field="number", remedy="draw a number for the case")
    received = draft.now
    if command.received is not None:
        received = min(checks.instant("received", command.received, draft), draft.now)
        if draft.now - received > OLDEST_LIVE and not command.imported:
            raise BadField(
                "{field} lies too far back for a live intake.",
                field="received",
                value=command.received.isoformat(),
                remedy="bring old cases in through import",
            )
    first = received
    if command.first_received is not None:
        first = min(checks.instant("first_received", command.first_received, draft), received)
        if first < received and not _peers_word(draft, command):
            raise BadField(
                "{field} is another platform's word; an intake of your own begins when it is received.",
                field="first_received",
                value=command.first_received.isoformat(),
                remedy="leave it out; let the other platform pass the case on, or bring old cases in through import",
            )
        if received - first > OLDEST_FIRST and not command.imported:
            raise BadField(
                "{field} lies too far back for a live intake.",
                field="first_received",
                value=command.first_received.isoformat(),
                remedy="bring old cases in through import",
            )
    line, _, region = command.platform.partition("-")
    text = f"{command.title}。{command.words}" if command.title else command.words
    place = command.division or draft.library.places.best(text, "")
    ruling = draft.library.rule(text, line=line, division=place or region, at=draft.now, hints=command.hints)
    personal = msgspec.json.encode(command.personal)
    if personal != b"{}":
        draft.seal(personal)
    draft.record(
        e.CaseRegistered(
            platform=command.platform,
            line=line,
            number=command.number,
            channel=command.channel,
            division=place,
            received=received,
            first_received=first,
            first_platform=command.first_platform or command.platform,
            anonymous=command.anonymous or ruling.anonymous,
            confidential=command.confidential or ruling.confidential,
            wants_reply=command.wants_reply,
            safe_contact=command.safe_contact,
            narrative=draft.said("narrative", command.words),
            policy=draft.library.policy.digest,
            call=command.call,
            peer_platform=command.peer_platform,
            peer_number=command.peer_number,
            peer_case=command.peer_case,
            imported=command.imported,
        )
    )
    _ruled(draft, ruling, draft.library.model_says(text, ruling))


def _peers_word(draft: Draft, command: c.RegisterCase) -> bool:
    """Whether a first receipt before this one may be named: by import, and by a system that passes its case on."""
    return command.imported or bool({Role.PEER, Role.SYSTEM}.intersection(draft.actor.roles))


def supplement(draft: Draft, command: c.SupplementCase) -> None:
    """More words are ruled afresh: repetition and supplements raise urgency, never lower it."""
    checks.words("words", command.words)
    draft.record(e.CaseSupplemented(words=draft.said("supplement", command.words)))
    case = draft.case
    ruling = _rule(draft, command.words, "", lists=case.matter.lists)
    if not ruling.danger and case.matter.lists != draft.library.book.digest[:SHORT]:
        # A running case keeps its lists; of danger the present ones may know more.
        present = _rule(draft, command.words, "")
        ruling = present if present.danger else ruling
    if ruling.danger:
        if not case.matter.danger or case.stage in AWAY or case.stage in ENDED:
            _raise_danger(draft, _lines(ruling))
    elif ruling.urgency is Urgency.urgent and ruling.confidence >= SURE:
        make_urgent(draft)


def make_urgent(draft: Draft) -> None:
    """An open case becomes urgent, unless it is so already: repetition raises urgency, never lowers it."""
    case = draft.case
    if case.matter.urgency != Urgency.urgent and case.is_open:
        _go_on(draft)
        draft.record(e.RulingChanged(matter=replace(draft.case.matter, urgency="urgent"), by_person=False))


def _raise_danger(draft: Draft, lines: tuple[str, ...]) -> None:
    """Danger in a later word. A follower leaves its parent; what was diverted or had ended is ours again; what still
    waits at the desk goes to 110 as if it had come in like this."""
    _go_on(draft)
    case = draft.case
    again = case.stage in ENDED or (case.stage in AWAY and not case.matter.danger)
    draft.record(e.DangerRaised(also=lines))
    if case.stage is Stage.FOLLOWING and case.parent is not None:
        draft.record(e.ParentLeft(parent=case.parent, why="danger"))
        _due_here(draft)
    elif again:
        draft.record(e.CaseReopened(why="danger"))
        _due_here(draft)
    else:
        _owe_anew(draft, case.matter)
    _to_police(draft)


def _go_on(draft: Draft) -> None:
    """An urgent case is never paused."""
    if draft.case.stage is Stage.PAUSED:
        draft.record(e.CaseResumed())


def rule_again(draft: Draft, command: c.RuleCase) -> None:
    """Rule under the lists in force now; what was known of danger stays known."""
    checks.division("division", command.division, draft)
    checks.words("words", command.words)
    ruling = _rule(draft, command.words, command.division)
    before = draft.case
    said = draft.library.model_says(command.words, ruling)
    matter = _matter(ruling, said)
    if before.matter.danger and not matter.danger:
        matter = replace(matter, danger=True, urgency="urgent", also=before.matter.also)
    human = ruling.decision is Decision.human
    draft.record(
        e.CaseRuled(
            matter=matter,
            receiver=ruling.receiver,
            division=command.division,
            human=human,
            recommended=_model_said(said),
        )
    )
    if matter.urgency != before.matter.urgency or matter.danger != before.matter.danger:
        draft.record(e.RulingChanged(matter=matter, by_person=False))
    _owe_anew(draft, before.matter)
    if matter.danger and not before.matter.danger:
        _to_police(draft)


def override(draft: Draft, command: c.OverrideRuling) -> None:
    """A person decides otherwise and says why; the first ruling and its evidence stay in the log."""
    checks.words("reason", command.reason)
    case = draft.case
    matter = case.matter
    if command.danger is False and matter.danger:
        raise AgainstRule(
            "Danger that was seen is not taken back by override.",
            field="danger",
            value="false",
            remedy="deal with it, or let 110 close it",
        )
    if command.platform and command.platform not in ("110", "12345", "119", "120", "122", "other", "none"):
        raise BadField(
            "There is no line {value}.",
            field="platform",
            value=command.platform,
            remedy="one of 110, 12345, 119, 120, 122, other, none",
        )
    danger = matter.danger if command.danger is None else command.danger
    urgency = command.urgency.value if command.urgency is not None else matter.urgency
    if danger and urgency != "urgent":
        urgency = "urgent"
    changed = replace(
        matter,
        platform=command.platform or matter.platform,
        item=command.item or matter.item,
        urgency=urgency,
        category=command.category or matter.category,
        owners=command.owners or matter.owners,
        danger=danger,
        about=matter.about if command.about is None else command.about,
        decision=_decision_for(case.line, command.platform or matter.platform, matter.decision),
    )
    draft.record(e.RulingChanged(matter=changed, reason=draft.said("reason", command.reason)))
    _owe_anew(draft, matter)
    if danger and not matter.danger:
        _to_police(draft)
    _relieve(draft)


def _relieve(draft: Draft) -> None:
    """A unit that the case turns out to be about neither keeps it nor sees it."""
    case = draft.case
    holders = (case.lead, *(tier.unit for tier in case.tiers))
    blamed = next((unit for unit in holders if is_about(case, unit, draft.library)), None)
    if blamed is None or case.stage not in (Stage.ASSIGNED, Stage.SIGNED, Stage.ADJUDICATING):
        return
    draft.record(e.HolderRelieved(unit=blamed))
    if case.stage is not Stage.ADJUDICATING:
        draft.record(e.AdjudicationDue(why="about-holder"))


def due_here(draft: Draft) -> None:
    """This platform must deal with it now: start the clock of the line."""
    _due_here(draft)


def _rule(draft: Draft, text: str, division: str, lists: str = "") -> Ruling:
    case = draft.case
    place = division or case.division or case.platform.partition("-")[2]
    return draft.library.rule(text, line=case.line, division=place, at=draft.now, hints=Hints(), lists=lists)


def _matter(ruling: Ruling, said: Recommended | None) -> Matter:
    return Matter(
        platform=ruling.platform,
        decision=ruling.decision.value,
        item=ruling.item,
        clause=ruling.clause,
        urgency="urgent" if ruling.danger else ruling.urgency.value,
        category=category_of(ruling, said) if said is not None else ruling.category,
        kind=ruling.kind,
        owners=ruling.owners,
        also=ruling.also,
        danger=ruling.danger,
        police_urgent=ruling.police_urgent,
        contested=ruling.contested,
        confidence=round(ruling.confidence, 4),
        about=ruling.about_unit,
        points=max(1, len(ruling.points)),
        lists=ruling.list_version[:SHORT],
    )


def _model_said(said: Recommended | None) -> e.ModelSaid | None:
    if said is None:
        return None
    return e.ModelSaid(
        model=said.by,
        categories=tuple((one.label, one.probability) for one in said.categories),
        units=tuple((one.label, one.probability) for one in said.units),
        differs=said.differs,
    )


def _lines(ruling: Ruling) -> tuple[str, ...]:
    return tuple(dict.fromkeys((ruling.platform, *ruling.also)))


def _decision_for(line: str, platform: str, before: str) -> str:
    if platform == line:
        return Decision.accept.value
    if platform in ("none", "other"):
        return Decision.guide.value
    return Decision.transfer.value if platform else before


def _ruled(draft: Draft, ruling: Ruling, said: Recommended | None) -> None:
    matter = _matter(ruling, said)
    case = draft.case
    receiver = ""
    if matter.platform != case.line and matter.platform in ("110", "12345", "119", "120", "122"):
        receiver = draft.library.directory.receiver(matter.platform, case.division, draft.now).platform_id
    human = ruling.decision is Decision.human
    draft.record(
        e.CaseRuled(
            matter=matter,
            receiver=receiver,
            human=human,
            owes=_owes(case.line, matter),
            recommended=_model_said(said),
        )
    )
    if case.handed_in and case.first_platform == case.platform:
        draft.record(e.ReflowSeen(holders=(case.platform, case.peers[-1].platform, case.platform)))
    if matter.danger and not case.handed_in and not case.imported:
        _to_police(draft)
    item = draft.library.unattended(matter.item)
    # Where the model says otherwise a person decides.
    if item is not None and not (said is not None and said.differs):
        assign_unattended(draft, item)


def _to_police(draft: Draft) -> None:
    """Danger never waits for a form: what nobody works on yet goes to 110 at once, data ahead of the voice (III.3.1)."""
    case = draft.case
    if case.line != Line.HOTLINE or not case.matter.danger or case.stage not in (Stage.RECEIVED, Stage.RULED):
        return
    place = case.division or case.platform.partition("-")[2]
    to = draft.library.directory.receiver("110", place, draft.now).platform_id
    if to in case.had_by:
        draft.record(e.ReflowSeen(holders=(*(hop.holder for hop in case.hops), to)))
    draft.record(e.TransferStarted(to=to, call=case.call))


def _owe_anew(draft: Draft, before: Matter) -> None:
    """A police order ruled otherwise owes something else: a unit instead of a hand-over, or the other way round."""
    case = draft.case
    if case.stage is Stage.POLICE_RECEIVED and _owes(case.line, before) != _owes(case.line, case.matter):
        _due_here(draft)


def _due_here(draft: Draft) -> None:
    draft.record(_DUE_EVENTS[_owes(draft.case.line, draft.case.matter)]())


def _owes(line: str, matter: Matter) -> str:
    """What a platform owes first: 12345 assigns (or answers, guides, passes on); 110 sends, or passes on what is not its."""
    if line == Line.HOTLINE:
        return "assignment-due"
    return "passing-due" if matter.platform == Line.HOTLINE and not matter.danger else "dispatch-due"


_DUE_EVENTS: dict[str, type[e.AssignmentDue] | type[e.DispatchDue] | type[e.PassingDue]] = {
    "assignment-due": e.AssignmentDue,
    "dispatch-due": e.DispatchDue,
    "passing-due": e.PassingDue,
}
