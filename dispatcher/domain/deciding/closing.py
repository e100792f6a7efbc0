"""How a case ends and what follows: close, unreasonable, callback, ratings, redo, archive, erasure."""

from __future__ import annotations

from dispatcher.domain import commands as c
from dispatcher.domain import events as e
from dispatcher.domain.deciding import checks, intake, units
from dispatcher.domain.draft import Draft
from dispatcher.domain.errors import AgainstRule, BadField
from dispatcher.domain.ladders import LEGAL
from dispatcher.domain.plan import may_call
from dispatcher.domain.values import Line, Result, Said
from routing_rules.policy import AtLimit

CALLED_BACK_KINDS = frozenset({"投诉", "求助", "举报", ""})
"""Complaints and requests for help are called back, all of them; questions and suggestions are not owed a call."""


def close(draft: Draft, command: c.CloseCase) -> None:
    """办结. What is owed after it (a callback) starts its clock here."""
    case = draft.case
    result = command.result or case.result
    if result is None:
        raise BadField("{field} must not be empty.", field="result", remedy="say how it ended")
    _not_unreasonable(result)
    draft.record(e.CaseClosed(result=result, words=draft.maybe("closing", command.words)))
    _owe_callback(draft)


def _not_unreasonable(result: Result) -> None:
    if result is Result.UNREASONABLE:
        raise AgainstRule(
            "Unreasonable takes two persons.",
            field="result",
            value=result.value,
            remedy="propose-unreasonable, then decide-unreasonable by another person",
        )


def propose_unreasonable(draft: Draft, command: c.ProposeUnreasonable) -> None:
    """First of two persons; never for danger."""
    checks.words("words", command.words)
    checks.not_danger(draft, "propose-unreasonable")
    draft.record(e.UnreasonableProposed(by=draft.actor.id, words=draft.said("unreasonable", command.words)))


def decide_unreasonable(draft: Draft, command: c.DecideUnreasonable) -> None:
    """A second person."""
    case = draft.case
    if case.proposed_by == draft.actor.id:
        raise AgainstRule(
            "The second person must be another one.",
            field="actor",
            value=draft.actor.id,
            remedy="let a colleague decide",
        )
    if not command.agree:
        draft.record(e.UnreasonableRefused(words=draft.maybe("unreasonable-decision", command.words)))
        return
    checks.not_danger(draft, "decide-unreasonable")
    draft.record(
        e.CaseClosed(result=Result.UNREASONABLE, words=draft.maybe("unreasonable-decision", command.words))
    )
    _owe_callback(draft)


def appeal(draft: Draft, command: c.AppealUnreasonable) -> None:
    """The citizen objects: it is open again and must be assigned."""
    checks.words("words", command.words)
    draft.record(e.CaseReopened(why="appeal", words=draft.said("appeal", command.words)))
    if draft.case.holders >= draft.library.policy.counts["holders_before_adjudication"]:
        draft.record(e.AdjudicationDue(why="third-holder"))
    else:
        intake.due_here(draft)


def call_back(draft: Draft, command: c.CallBack) -> None:
    """One attempt, 08:30 to 20:00; the third without an answer ends as "not reached", never as "satisfied"."""
    case, policy = draft.case, draft.library.policy
    local = draft.now.astimezone(LEGAL).time()
    if not policy.hours["callback_from"] <= local <= policy.hours["callback_until"] and not command.waived:
        raise AgainstRule(
            "Callbacks are made between {begin} and {end}.",
            begin=policy.hours["callback_from"].isoformat("minutes"),
            end=policy.hours["callback_until"].isoformat("minutes"),
            field="at",
            value=local.isoformat("minutes"),
            remedy="call in the daytime",
        )
    rated = command.call_rating or command.result_rating
    if rated and not command.reached:
        raise BadField(
            "Who was not reached has not rated.",
            field="result_rating",
            value=str(command.result_rating),
            remedy="leave the ratings at 0",
        )
    unsafe = not may_call(case)
    hours = case.safe_contact
    if (
        hours is not None
        and not (command.waived or unsafe)
        and not hours.from_hour <= local.hour < hours.until_hour
    ):
        raise AgainstRule(
            "The citizen may be called from {begin} to {end} o'clock only.",
            begin=str(hours.from_hour),
            end=str(hours.until_hour),
            field="at",
            value=local.isoformat("minutes"),
            remedy="call when it is safe",
        )
    if command.waived or unsafe:
        draft.record(e.CaseCalledBack(outcome="on-file" if unsafe else "waived", on_request=command.waived))
        return
    attempt = case.callbacks + 1
    said = draft.maybe("callback", command.words)
    draft.record(e.CallbackTried(attempt=attempt, reached=command.reached, words=said))
    if command.reached:
        draft.record(e.CaseCalledBack(outcome="reached"))
        if rated:
            _rate(draft, command.call_rating, command.result_rating)
    elif attempt >= policy.counts["callback_attempts"]:
        draft.record(e.CaseCalledBack(outcome="not-reached"))


def rate(draft: Draft, command: c.RateCase) -> None:
    """By the citizen, once a matter."""
    if not command.call_rating and not command.result_rating:
        raise BadField(
            "{field} must not be empty.", field="result_rating", remedy="rate the call, the result or both"
        )
    _rate(draft, command.call_rating, command.result_rating)


def _rate(draft: Draft, call: int, result: int) -> None:
    case = draft.case
    if case.rating is not None:
        raise AgainstRule(
            "A matter is rated once.", field="case", value=case.number, remedy="the first rating stands"
        )
    scale = 3 if case.line == Line.POLICE else 5
    for field, value in (("call_rating", call), ("result_rating", result)):
        if not 0 <= value <= scale:
            raise BadField(
                "{field} must lie between 1 and {most}.",
                most=str(scale),
                field=field,
                value=str(value),
                remedy="1 is best; 0 means not rated",
            )
    draft.record(e.CaseRated(call=call, result=result, scale=scale))
    if result >= scale - (scale == 5):
        draft.record(e.RatingContested())


def verify_rating(draft: Draft, command: c.VerifyRating) -> None:
    """Justified: it is rectified by a redo, or by supervision when it was redone before."""
    checks.words("words", command.words)
    draft.record(
        e.RatingVerified(justified=command.justified, words=draft.said("verification", command.words))
    )
    if command.justified:
        _again(draft, "bad-rating", None)
    archive = draft.case.clock("archive")
    tabled = any(run.at_limit == AtLimit.TABLE.value and run.breached is None for run in draft.case.running)
    if archive is not None and archive.stopped is None and archive.breached is not None and not tabled:
        draft.record(e.CaseArchived())  # only this verification kept it from the archive


def redo(draft: Draft, command: c.RedoCase) -> None:
    """Dissatisfied with cause."""
    checks.words("words", command.words)
    _again(draft, "dissatisfied", draft.said("redo", command.words))


def _again(draft: Draft, why: str, said: Said | None) -> None:
    case = draft.case
    if case.redos >= draft.library.policy.counts["redos_most"]:
        draft.record(e.CaseSupervised(why=why, words=said))
        return
    lead, co = case.lead, case.co
    draft.record(e.CaseReopened(why="redo", words=said))
    if lead:
        units.assign_again(draft, lead, co)
    else:
        intake.due_here(draft)


def _owe_callback(draft: Draft) -> None:
    case = draft.case
    kind_owed = case.matter.kind in CALLED_BACK_KINDS and case.result is not Result.GUIDED
    if case.line == Line.HOTLINE and kind_owed and not case.erased:
        draft.record(e.CallbackDue())


def hold(draft: Draft, command: c.HoldCase) -> None:
    """A legal hold stops erasure."""
    checks.words("reason", command.reason)
    draft.record(e.LegalHoldSet(reason=draft.said("hold", command.reason)))


def release_hold(draft: Draft, command: c.ReleaseHold) -> None:
    """The hold ends; retention counts on."""
    checks.words("reason", command.reason)
    draft.record(e.LegalHoldReleased(reason=draft.said("hold", command.reason)))


def erase(draft: Draft, command: c.EraseCase) -> None:
    """The end of retention: the key is destroyed, the erasure itself is an event and stays."""
    checks.words("basis", command.basis, most=200)
    draft.record(e.PersonalDataErased(basis=command.basis))
    draft.erase()


def urge(draft: Draft, command: c.UrgeCase) -> None:
    """催办."""
    draft.record(e.CaseUrged(words=draft.maybe("urge", command.words)))


def supervise(draft: Draft, command: c.SuperviseCase) -> None:
    """督办."""
    checks.words("words", command.words)
    draft.record(e.CaseSupervised(words=draft.said("supervise", command.words), why="person"))


def withdraw(draft: Draft, command: c.WithdrawCase) -> None:
    """By the citizen; a danger case goes on without him."""
    checks.words("words", command.words)
    checks.not_danger(draft, "withdraw-case")
    draft.record(e.CaseWithdrawn(words=draft.said("withdrawal", command.words)))


def close_police(draft: Draft, command: c.ClosePoliceOrder) -> None:
    """警单办结, after feedback; a remainder for 12345 must be on its way first."""
    case = draft.case
    if case.remainder and not any(hop.why == "handed-over" for hop in case.hops):
        raise AgainstRule(
            "A non-police remainder is still to be handed over.",
            field="case",
            value=case.number,
            remedy="hand-over-case with remainder",
        )
    _not_unreasonable(command.result)
    draft.record(e.CaseClosed(result=command.result, words=draft.maybe("closing", command.words)))
