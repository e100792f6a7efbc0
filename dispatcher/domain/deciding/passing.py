"""Between the platforms: transfer, three-way agreement, hand-over, results, guidance, answers at once."""

from __future__ import annotations

from msgspec.structs import replace

from dispatcher.domain import commands as c
from dispatcher.domain import events as e
from dispatcher.domain.deciding import checks, intake
from dispatcher.domain.draft import Draft
from dispatcher.domain.errors import AgainstRule
from dispatcher.domain.values import Line, Result, Stage
from routing_rules.ruling import Decision


def transfer(draft: Draft, command: c.TransferCase) -> None:
    """Data ahead of voice; this side stays answerable until the other confirms."""
    checks.other_platform("to", command.to, draft)
    _stays_with_rescue(draft, command.to)
    _no_second_return(draft, command.to)
    draft.record(
        e.TransferStarted(to=command.to, call=command.call, reason=draft.maybe("reason", command.reason))
    )


def confirm_transfer(draft: Draft, command: c.ConfirmTransfer) -> None:
    """The other side has it; responsibility goes with it."""
    draft.record(e.TransferConfirmed(number=command.number, peer_case=command.peer_case))


def transfer_failed(draft: Draft, command: c.ReportTransferFailed) -> None:
    """Nobody took it: it is ours again, with the clock that never stopped for the citizen."""
    draft.record(e.TransferFailed(reason=draft.said("reason", command.reason)))
    intake.due_here(draft)


def agree(draft: Draft, command: c.AgreeTaker) -> None:
    """Who takes it after a three-way call; without agreement the first receiver, and a consultation item."""
    checks.words("reason", command.reason)
    case = draft.case
    agreed = bool(command.taker)
    taker = command.taker or case.first_platform
    checks.platform("taker", taker, draft)
    _stays_with_rescue(draft, taker)
    draft.record(e.TakerAgreed(taker=taker, agreed=agreed, reason=draft.said("reason", command.reason)))
    if taker in case.had_by:
        draft.record(e.ReflowSeen(holders=(*(hop.holder for hop in case.hops), taker)))
    if taker != case.platform:
        draft.record(e.TransferStarted(to=taker, call=case.call))
    elif case.line == Line.POLICE and case.matter.platform != case.line:
        # 110 keeps it: nothing is to be passed on any more, a unit is to be sent
        ours = replace(case.matter, platform=case.line, decision=Decision.accept.value)
        draft.record(e.RulingChanged(matter=ours))
        intake.due_here(draft)


def hand_over(draft: Draft, command: c.HandOverCase) -> None:
    """An order instead of a call. Danger is never handed over by order: it is transferred."""
    checks.words("reason", command.reason)
    checks.other_platform("to", command.to, draft)
    _to_the_other_line(draft, command)
    case = draft.case
    if not command.remainder:
        checks.not_danger(draft, "hand-over-case")
    if command.remainder and case.stage is not Stage.FED_BACK:
        raise AgainstRule(
            "A remainder is handed over with or after the feedback.",
            field="remainder",
            value="true",
            remedy="report the feedback first",
        )
    _no_second_return(draft, command.to)
    draft.record(
        e.HandOverDue(to=command.to, reason=draft.said("reason", command.reason), remainder=command.remainder)
    )


def _to_the_other_line(draft: Draft, command: c.HandOverCase) -> None:
    """110 to another 110 is a transfer: a police order must not wait for a hand-over's working day (DOMAIN.md, Must 6
    and the deadline table know hand-over orders 110 → 12345 only; between 110s the place decides, at once). A
    non-police remainder is 12345's by definition. 12345 to another 12345 (province and prefecture) stays allowed."""
    if draft.case.line == Line.POLICE and command.to.startswith(f"{Line.POLICE}-"):
        raise AgainstRule(
            "A police order is not handed over to another 110 by order.",
            field="to",
            value=command.to,
            remedy="transfer-case: the other 110 must have it at once",
        )


def confirm_hand_over(draft: Draft, command: c.ConfirmHandOver) -> None:
    """It is there, under the other side's number."""
    draft.record(e.HandOverDelivered(number=command.number, peer_case=command.peer_case))


def hand_over_failed(draft: Draft, command: c.ReportHandOverFailed) -> None:
    """It did not get there, or came back: ours again."""
    draft.record(e.HandOverFailed(reason=draft.said("reason", command.reason)))
    if draft.case.stage is not Stage.FED_BACK:
        intake.due_here(draft)


def peer_result(draft: Draft, command: c.ReportPeerResult) -> None:
    """The other side's result. A police order without a unit sent closes by it; with one, 110 closes it itself.
    What nobody waits for here any more is on record all the same."""
    waited = draft.case.stage is Stage.HANDED_OVER
    draft.record(
        e.PeerResultReported(
            result=command.result,
            words=draft.maybe("peer-result", command.words),
            passed=draft.case.stage is Stage.PASSED,
        )
    )
    case = draft.case
    if waited and case.line == Line.POLICE and not case.police_sent:
        draft.record(e.CaseClosed(result=Result.BY_PEER))


def guide(draft: Draft, command: c.GuideCaller) -> None:
    """Belongs to neither: the right door, on record."""
    checks.words("door", command.door, most=200)
    checks.not_danger(draft, "guide-caller")
    draft.record(e.CaseGuided(door=command.door, words=draft.maybe("guidance", command.words)))


def answer(draft: Draft, command: c.AnswerAtOnce) -> None:
    """Answered on the spot."""
    checks.words("words", command.words)
    checks.not_danger(draft, "answer-at-once")
    draft.record(e.CaseAnswered(words=draft.said("answer", command.words), knowledge=command.knowledge))


def _no_second_return(draft: Draft, to: str) -> None:
    """A → B → A is re-flow: a person agrees on the taker first (three-way), nobody sends it back alone."""
    if to in draft.case.had_by:
        raise AgainstRule(
            "The case would flow back to {value}, which had it before.",
            field="to",
            value=to,
            remedy="settle it in a three-way call (agree-taker) or by adjudication",
        )


def _stays_with_rescue(draft: Draft, to: str) -> None:
    if draft.case.matter.danger and to.startswith(f"{Line.HOTLINE}-") and to != draft.case.platform:
        checks.not_danger(draft, "transfer-case")
