"""Cases beside one another: follower and parent, merging. Both streams change in one transaction or not at all."""

from __future__ import annotations

from dispatcher.domain import commands as c
from dispatcher.domain import events as e
from dispatcher.domain.deciding import checks, intake
from dispatcher.domain.draft import Draft
from dispatcher.domain.errors import AgainstRule, NotFound
from dispatcher.domain.values import FINISHED, Stage

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
