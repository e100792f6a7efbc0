"""What departments and the platform do with an assigned case, up to the reply that is approved and delivered."""

from __future__ import annotations

from datetime import timedelta

from dispatcher.domain import commands as c
from dispatcher.domain import events as e
from dispatcher.domain.case import Case
from dispatcher.domain.deciding import checks
from dispatcher.domain.draft import Draft
from dispatcher.domain.errors import AgainstRule, BadField, NotYours
from dispatcher.domain.ladders import LEGAL
from dispatcher.domain.values import Line, Result, ReturnAsked, Stage
from routing_rules.policy import AtLimit
from routing_rules.ruling import Decision
from routing_rules.schema import Item

UTILITIES = frozenset({"power", "water-supply", "gas", "heating"})


def assign(draft: Draft, command: c.AssignCase) -> None:
    """Assign to a lead and co-handlers. A unit that returned it before gets it only by adjudication."""
    checks.hotline_only(draft, "assign-case")
    case = draft.case
    if case.stage is Stage.OFFERED and command.lead not in case.offered:
        checks.unit("lead", command.lead, draft, duty_item=command.duty_item)
    if any(asked.unit == command.lead and asked.accepted for asked in case.returns):
        raise AgainstRule(
            "The unit returned this case before; sending it back is re-flow.",
            field="lead",
            value=command.lead,
            remedy="assign another unit, or let it be adjudicated",
        )
    most = draft.library.policy.counts["holders_before_adjudication"]
    if case.holders >= most and command.lead != case.lead:
        raise AgainstRule(
            "A third holder is decided by adjudication.",
            field="lead",
            value=command.lead,
            remedy="adjudicate the case",
        )
    if command.words:
        checks.words("words", command.words)
    urgency = command.urgency.value if command.urgency is not None else case.matter.urgency
    if case.matter.urgency == "urgent" and urgency != "urgent":
        raise AgainstRule(
            "An assignment does not take urgency away.",
            field="urgency",
            value=urgency,
            remedy="override-ruling, with a reason",
        )
    _assigned(
        draft,
        command.lead,
        command.co,
        urgency=urgency,
        duty_item=command.duty_item,
        said=command.words,
    )


def assign_unattended(draft: Draft, item: Item) -> None:
    """Assign what an owner lets go without a person: sure, uncontested, no danger, no report, nothing confidential."""
    case = draft.case
    matter = case.matter
    plain = (
        matter.platform == Line.HOTLINE
        and case.line == Line.HOTLINE
        and case.stage is Stage.RULED
        and matter.decision == Decision.accept.value
        and not (matter.danger or matter.contested or matter.police_urgent or matter.about)
        and matter.kind != "举报"
        and not (case.confidential or case.anonymous or case.imported or case.handed_in)
    )
    if not plain or matter.confidence < item.self_dispatch or not matter.owners:
        return
    found = draft.library.organisation.resolve(matter.owners[0], case.division or draft.library.home)
    if found is None or checks.is_township(found):
        return
    until = draft.now + timedelta(minutes=item.recall_minutes)
    # By the case's own number, so that a repeat and a proof draw the same lot.
    sampled = case.id.int % 10_000 < item.sampled * 10_000
    _assigned(draft, found.code, (), urgency=matter.urgency)
    draft.record(
        e.SelfDispatched(
            unit=found.code,
            item=matter.item,
            confidence=matter.confidence,
            line=item.self_dispatch,
            recall_until=until,
            sampled=sampled,
        )
    )


def recall_dispatch(draft: Draft, command: c.RecallDispatch) -> None:
    """A person takes it back in time; the unit's clocks stop and the desk's begin again."""
    checks.words("reason", command.reason)
    case = draft.case
    assert case.recall_until is not None, "the stage table lets only these in"
    if draft.now > case.recall_until:
        raise AgainstRule(
            "The time to recall ended at {ended}.",
            ended=case.recall_until.isoformat(timespec="minutes"),
            field="case",
            value=case.number,
            remedy="ask the unit to return it, or override the ruling",
        )
    unit = case.lead
    draft.record(e.HolderRelieved(unit=unit))
    draft.record(e.DispatchRecalled(unit=unit, reason=draft.said("reason", command.reason)))
    draft.record(e.AssignmentDue())


def offer(draft: Draft, command: c.OfferClaim) -> None:
    """Several units may own it; the first to claim has it, else the supervisor designates."""
    checks.hotline_only(draft, "offer-claim")
    if not 2 <= len(set(command.units)) <= 20:
        raise BadField(
            "A parallel claim goes to 2 to 20 units.",
            field="units",
            value=str(len(set(command.units))),
            remedy="name the units that may own it",
        )
    for code in dict.fromkeys(command.units):
        checks.unit("units", code, draft, duty_item="parallel claim")
    if command.guard:
        checks.unit("guard", command.guard, draft, duty_item="guard")
    draft.record(e.ClaimOffered(units=tuple(dict.fromkeys(command.units)), guard=command.guard))


def claim(draft: Draft, command: c.ClaimCase) -> None:
    """It is ours: claimed is assigned and signed at once."""
    if command.unit not in draft.case.offered:
        raise NotYours(
            "The case was not offered to {value}.",
            field="unit",
            value=command.unit,
            remedy="only a unit it was offered to may claim it",
        )
    _assigned(draft, command.unit, (), urgency=draft.case.matter.urgency, duty_item="parallel claim")
    draft.record(e.CaseSigned(unit=command.unit))


def sign(draft: Draft, command: c.SignFor) -> None:
    """Sign for the case, or for one's own tier of it."""
    case = draft.case
    unit = draft.actor.unit or command.unit or case.lead
    if case.stage is Stage.ASSIGNED:
        draft.record(e.CaseSigned(unit=case.lead))
        return
    tier = next((t for t in case.tiers if t.unit == unit and t.signed is None), None)
    if tier is None:
        raise AgainstRule(
            "It is signed for already.", field="unit", value=unit, remedy="nothing is left to sign"
        )
    draft.record(e.SubAssignmentSigned(unit=unit))


def contact(draft: Draft, command: c.ContactCitizen) -> None:
    """What was tried."""
    draft.record(e.CitizenContacted(reached=command.reached, words=draft.maybe("contact", command.words)))


def sub_assign(draft: Draft, command: c.SubAssign) -> None:
    """Down the unit's own tree, with a limit inside its own; the upper unit stays accountable."""
    case = draft.case
    above = case.acting_unit
    checks.unit("unit", command.unit, draft, duty_item=command.words)
    if not draft.library.is_below(command.unit, above):
        raise BadField(
            "{value} does not lie below the unit that holds the case.",
            field="unit",
            value=command.unit,
            remedy="sub-assign down your own tree only",
        )
    if any(tier.unit == command.unit for tier in case.tiers):
        raise AgainstRule(
            "The unit has had it already.", field="unit", value=command.unit, remedy="name another unit"
        )
    if not 0 <= command.days <= 20:
        raise BadField(
            "{field} must lie between 0 and 20.",
            field="days",
            value=str(command.days),
            remedy="0 takes the policy's limit",
        )
    draft.record(
        e.CaseSubAssigned(
            unit=command.unit,
            above=above,
            days=command.days,
            words=draft.maybe("sub-assignment", command.words),
        )
    )


def recall(draft: Draft, command: c.RecallSubAssignment) -> None:
    """The upper unit takes the lowest tier back."""
    checks.words("reason", command.reason)
    lowest = draft.case.tiers[-1].unit
    draft.record(e.SubAssignmentRecalled(unit=lowest, reason=draft.said("reason", command.reason)))


def ask_return(draft: Draft, command: c.AskReturn) -> None:
    """Within one working day, with a reason and the item it cites; a second return goes to adjudication."""
    checks.words("words", command.words)
    checks.words("item", command.item, most=120)
    case = draft.case
    if command.suggested and draft.library.unit(command.suggested) is None:
        raise BadField(
            "There is no unit {value}.",
            field="suggested",
            value=command.suggested,
            remedy="give a GB 32100 code of the organisation",
        )
    if case.binding:
        raise AgainstRule(
            "The adjudication binds; it cannot be returned.",
            field="case",
            value=case.number,
            remedy="handle it",
        )
    window = case.clock("return")
    if window is not None and draft.now > window.due:
        raise AgainstRule(
            "The time for a return ended at {ended}.",
            ended=window.due.isoformat(timespec="minutes"),
            field="case",
            value=case.number,
            remedy="handle it, or ask for an extension",
        )
    asked = e.ReturnAskedFor(
        unit=case.lead,
        reason=command.reason.value,
        item=command.item,
        words=draft.said("return", command.words),
        suggested=command.suggested,
    )
    draft.record(asked)
    most = draft.library.policy.counts["returns_before_adjudication"]
    if len(draft.case.returns) > most:
        draft.record(e.AdjudicationDue(why="second-return"))


def decide_return(draft: Draft, command: c.DecideReturn) -> None:
    """Accepted: assign anew, by adjudication when a third holder would come in. Refused: the unit goes on."""
    said = draft.maybe("return-decision", command.words)
    if not command.accept:
        draft.record(e.ReturnRefused(words=said))
        case = draft.case
        sign = case.clock("sign")
        missed = sign is not None and sign.breached is not None and sign.at_limit == AtLimit.DEEM_SIGNED.value
        if missed and case.stage is Stage.ASSIGNED and case.matter.urgency != "urgent":
            # the limit for signing fell while the return was looked at
            draft.record(e.CaseSigned(unit=case.lead, deemed=True))
        return
    holders = draft.case.holders
    draft.record(e.ReturnAccepted(words=said))
    if holders >= draft.library.policy.counts["holders_before_adjudication"]:
        draft.record(e.AdjudicationDue(why="third-holder"))
    else:
        draft.record(e.AssignmentDue())


def adjudicate(draft: Draft, command: c.AdjudicateCase) -> None:
    """Binds. It may name a unit that returned it: that is seen as re-flow and said so."""
    checks.words("words", command.words)
    case = draft.case
    checks.unit("unit", command.unit, draft, duty_item="adjudication")
    if any(asked.unit == command.unit for asked in _returns(case)) and not case.reflow:
        draft.record(e.ReflowSeen(holders=(*(hop.holder for hop in case.hops), command.unit)))
    draft.record(e.CaseAdjudicated(unit=command.unit, words=draft.said("adjudication", command.words)))
    _assigned(
        draft, command.unit, command.co, urgency=case.matter.urgency, binding=True, duty_item="adjudication"
    )


def ask_extension(draft: Draft, command: c.AskExtension) -> None:
    """By 17:00 of the last day at the latest (Xining's practice); once; never for urgent."""
    checks.words("words", command.words)
    case, counts = draft.case, draft.library.policy.counts
    run = case.clock("handle")
    if case.matter.urgency == "urgent" or case.matter.danger:
        raise AgainstRule(
            "An urgent case has no extension.", field="case", value=case.number, remedy="handle it now"
        )
    if sum(1 for x in case.extensions if x.granted) >= counts["extensions_most"]:
        raise AgainstRule(
            "An extension is granted once only.", field="case", value=case.number, remedy="handle it now"
        )
    if not 1 <= command.days <= counts["extension_days_most"]:
        raise BadField(
            "{field} must lie between 1 and {most}.",
            most=str(counts["extension_days_most"]),
            field="days",
            value=str(command.days),
            remedy="working days, at most ten (方案三(四)4)",
        )
    if run is None or run.stopped is not None:
        raise AgainstRule(
            "No handling limit is running.", field="case", value=case.number, remedy="nothing to extend"
        )
    last = run.due.astimezone(LEGAL)
    cutoff = min(
        run.due,
        last.replace(hour=(at := draft.library.policy.hours["extension_cutoff"]).hour, minute=at.minute),
    )
    if draft.now > cutoff:
        raise AgainstRule(
            "Requests for an extension ended at {ended}.",
            ended=cutoff.isoformat(timespec="minutes"),
            field="case",
            value=case.number,
            remedy="handle it; it counts as late",
        )
    draft.record(
        e.ExtensionAsked(clock="handle", days=command.days, words=draft.said("extension", command.words))
    )


def decide_extension(draft: Draft, command: c.DecideExtension) -> None:
    """Grant all, fewer or no days."""
    pending = draft.case.extension_pending
    assert pending is not None, "the stage table admits this only with a request"
    days = command.days or pending.days
    if command.grant and not 1 <= days <= pending.days:
        raise BadField(
            "{field} must lie between 1 and {most}.",
            most=str(pending.days),
            field="days",
            value=str(days),
            remedy="grant at most what was asked for",
        )
    draft.record(
        e.ExtensionDecided(
            granted=command.grant,
            days=days if command.grant else 0,
            words=draft.maybe("extension-decision", command.words),
        )
    )


def ask_pause(draft: Draft, command: c.AskPause) -> None:
    """Only while the citizen owes material (named in one notice) or a finding is pending; once; never for urgent."""
    case, counts = draft.case, draft.library.policy.counts
    if command.why not in ("material", "finding"):
        raise BadField(
            "There is no reason {value} to pause.",
            field="why",
            value=command.why,
            remedy="material or finding",
        )
    if command.why == "material" and not command.items:
        raise BadField(
            "{field} must not be empty.", field="items", remedy="name all the material in one notice"
        )
    if case.matter.urgency == "urgent" or case.matter.danger:
        raise AgainstRule(
            "An urgent case is never paused.", field="case", value=case.number, remedy="handle it"
        )
    if sum(1 for p in case.pauses if p.began is not None) >= counts["pauses_most"]:
        raise AgainstRule("A case is paused once only.", field="case", value=case.number, remedy="handle it")
    if not 1 <= command.days <= counts["pause_days_most"]:
        raise BadField(
            "{field} must lie between 1 and {most}.",
            most=str(counts["pause_days_most"]),
            field="days",
            value=str(command.days),
            remedy="working days",
        )
    notice = "\n".join((*command.items, command.words))
    draft.record(
        e.PauseAsked(
            why=command.why,
            items=len(command.items),
            days=command.days,
            words=draft.maybe("pause", checks.words("items", notice, needed=False)),
        )
    )


def decide_pause(draft: Draft, command: c.DecidePause) -> None:
    """The platform approves or refuses."""
    pending = draft.case.pause_pending
    assert pending is not None, "the stage table admits this only with a request"
    if command.grant and draft.case.extension_pending is not None:
        raise AgainstRule(
            "A request for more time is pending.",
            field="case",
            value=draft.case.number,
            remedy="decide the extension first",
        )
    if command.grant:
        draft.record(e.CasePaused(why=pending.why, days=pending.days))
    else:
        draft.record(e.PauseRefused(words=draft.maybe("pause-decision", command.words)))


def resume(draft: Draft, command: c.ResumeCase) -> None:
    """The clocks count on from here with what was left."""
    draft.record(e.CaseResumed(words=draft.maybe("resume", command.words)))


def reply(draft: Draft, command: c.ReplyCase) -> None:
    """A lower tier's reply climbs one step; the lead's reply stops the unit's clock."""
    checks.words("words", command.words)
    case = draft.case
    points = tuple(sorted(set(command.points_answered)))
    if any(not 1 <= point <= case.matter.points for point in points):
        raise BadField(
            "There are {points} request points.",
            points=str(case.matter.points),
            field="points_answered",
            value=str(points),
            remedy="number them from 1",
        )
    if len(command.attachments) > 50:
        raise BadField(
            "{field} has too many entries.",
            field="attachments",
            value=str(len(command.attachments)),
            remedy="at most 50",
        )
    if command.result is Result.UNREASONABLE:
        checks.not_danger(draft, "reply-case")
    unit = draft.actor.unit or case.acting_unit
    if unit != case.lead:
        draft.record(
            e.SubReplySubmitted(
                unit=unit,
                words=draft.said("sub-reply", command.words),
                result=command.result,
                points_answered=points,
                attachments=command.attachments,
            )
        )
        return
    draft.record(
        e.ReplySubmitted(
            unit=unit,
            result=command.result,
            words=draft.said("reply", command.words),
            points_answered=points,
            attachments=command.attachments,
        )
    )


def send_back_sub_reply(draft: Draft, command: c.SendBackSubReply) -> None:
    """Whoever replied to the unit that has it now does it again."""
    checks.words("words", command.words)
    case = draft.case
    done = next((tier for tier in case.tiers if tier.replied is not None), None)
    if done is None:
        raise AgainstRule(
            "No lower unit has replied.", field="case", value=case.number, remedy="wait for the reply"
        )
    draft.record(e.SubReplySentBack(unit=done.unit, words=draft.said("sent-back", command.words)))


def approve(draft: Draft, command: c.ApproveReply) -> None:
    """The platform finds the reply good enough to give to the citizen."""
    draft.record(e.ReplyApproved(words=draft.maybe("approval", command.words)))


def send_back(draft: Draft, command: c.SendBackReply) -> None:
    """Not good enough: the unit's clock runs on as if it had never stopped."""
    checks.words("words", command.words)
    draft.record(e.ReplySentBack(words=draft.said("sent-back", command.words)))


def deliver(draft: Draft, command: c.DeliverReply) -> None:
    """The citizen has the reply: the total clock ends here."""
    checks.words("how", command.how, most=40)
    draft.record(e.ReplyDelivered(how=command.how, words=draft.maybe("delivery", command.words)))


def _assigned(
    draft: Draft,
    lead: str,
    co: tuple[str, ...],
    *,
    urgency: str,
    binding: bool = False,
    redo: bool = False,
    duty_item: str = "",
    said: str = "",
) -> None:
    unit = checks.unit("lead", lead, draft, duty_item=duty_item)
    helpers = tuple(code for code in dict.fromkeys(co) if code != lead)
    if len(helpers) > 20:
        raise BadField(
            "{field} has too many entries.", field="co", value=str(len(helpers)), remedy="at most 20"
        )
    for code in helpers:
        checks.unit("co", code, draft, duty_item=duty_item)
    draft.record(
        e.CaseAssigned(
            lead=lead,
            co=helpers,
            urgency=urgency,
            utility=unit.kind in UTILITIES,
            binding=binding,
            redo=redo or draft.case.redos > 0,
            duty_item=duty_item,
            words=draft.maybe("assignment", said),
        )
    )


def assign_again(draft: Draft, lead: str, co: tuple[str, ...]) -> None:
    """A redo goes back to the unit that had it, with half the limit."""
    _assigned(draft, lead, co, urgency=draft.case.matter.urgency, redo=True, duty_item="redo")


def _returns(case: Case) -> tuple[ReturnAsked, ...]:
    return case.returns
