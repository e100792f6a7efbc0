"""Cases beside one another: follower and parent, merging. Both streams change in one transaction or not at all."""

from __future__ import annotations

from dispatcher.domain import commands as c
from dispatcher.domain import events as e
from dispatcher.domain.deciding import checks, intake
from dispatcher.domain.draft import Draft
from dispatcher.domain.errors import AgainstRule, NotFound
from dispatcher.domain.values import FINISHED, Stage
from routing_rules.ruling import Urgency

_OVER = (Stage.CLOSED, Stage.CALLED_BACK)


def attach(draft: Draft, parent: Draft, command: c.AttachFollower) -> None:
    """A person attaches; software only suggests. Danger never follows."""
    checks.not_danger(draft, "attach-follower")
    _other(draft, parent)
    if parent.case.stage in FINISHED or parent.case.stage in (Stage.FOLLOWING, *_OVER):
        raise AgainstRule(
            "The parent is not open.", field="other", value=parent.case.number, remedy="name an open case"
        )
    if draft.case.followers:
        raise AgainstRule(
            "A case with followers cannot follow.",
            field="case",
            value=draft.case.number,
            remedy="attach the other way round",
        )
    draft.record(e.CaseAttached(parent=parent.ref.id))
    parent.record(e.FollowerJoined(follower=draft.ref.id))
    _no_less_urgent(parent, draft)


def leave(draft: Draft, parent: Draft, command: c.LeaveParent) -> None:
    """On its own again, with its own clocks; the total never stopped."""
    checks.words("reason", command.reason)
    if draft.case.parent != parent.ref.id:
        raise AgainstRule(
            "It does not follow {value}.", field="other", value=str(parent.ref.id), remedy="name its parent"
        )
    draft.record(e.ParentLeft(parent=parent.ref.id, why="person"))
    if parent.found is not None:
        parent.record(e.FollowerLeft(follower=draft.ref.id))
    intake.due_here(draft)


def merge(draft: Draft, into: Draft, command: c.MergeCase) -> None:
    """The same matter of the same citizen: this case ends, the other goes on."""
    checks.words("reason", command.reason)
    checks.not_danger(draft, "merge-case")
    _other(draft, into)
    if into.case.stage in FINISHED or into.case.stage in _OVER:
        raise AgainstRule(
            "The other case has ended.", field="other", value=into.case.number, remedy="name an open case"
        )
    if draft.case.followers:
        raise AgainstRule(
            "A case with followers is not merged.",
            field="case",
            value=draft.case.number,
            remedy="merge the other way round",
        )
    if draft.case.handed_in:
        raise AgainstRule(
            "Another platform waits for this case's own result.",
            field="case",
            value=draft.case.number,
            remedy="attach it as a follower instead",
        )
    if into.case.platform != draft.case.platform:
        raise AgainstRule(
            "Cases of two platforms are not merged.",
            field="other",
            value=into.case.number,
            remedy="attach or hand over instead",
        )
    draft.record(e.CaseMerged(into=into.ref.id))
    into.record(e.FollowerJoined(follower=draft.ref.id))
    _no_less_urgent(into, draft)


def repeated(draft: Draft, command: c.ReportRepeat) -> None:
    """The nth time: on record, and from the rules' nth time on (or beside an urgent one) urgent itself.

    A word that came before, or that counts fewer than are known, changes nothing.
    """
    case = draft.case
    nth = len(command.earlier) + 1
    if case.erased or nth < 2 or nth <= case.nth:
        return
    draft.record(e.RepeatSeen(how=command.how, nth=nth, earlier=command.earlier))
    rule = draft.library.duplicates.repeat(case.line, case.matter.category)
    if command.urgent or (rule is not None and rule.urgent_from and nth >= rule.urgent_from):
        intake.make_urgent(draft)


def surge(draft: Draft, command: c.ReportSurge) -> None:
    """Told once for each step of the rules; 110 hears only of danger and crowds."""
    case = draft.case
    rule = draft.library.duplicates.event_of(command.event)
    step = rule.step(command.size) if rule is not None else 0
    if rule is None or case.erased or step <= case.surge:
        return
    others = tuple(one for one in command.cases if one != draft.ref.id)
    lines = tuple(line for line in rule.tell if line != "110" or rule.crowd or case.matter.danger)
    draft.record(e.SurgeSeen(event=command.event, size=command.size, step=step, cases=others, lines=lines))


def _no_less_urgent(kept: Draft, joined: Draft) -> None:
    """What is dealt with in another case's place is dealt with no less urgently there."""
    if joined.case.matter.urgency == Urgency.urgent:
        intake.make_urgent(kept)


def _other(draft: Draft, other: Draft) -> None:
    if other.found is None:
        raise NotFound(
            "There is no such case.", field="other", value=str(other.ref.id), remedy="check the number"
        )
    if other.ref == draft.ref:
        raise AgainstRule(
            "A case does not follow itself.",
            field="other",
            value=str(other.ref.id),
            remedy="name another case",
        )
