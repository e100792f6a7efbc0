"""From an effect to a notice: who is meant, what they are told. Pure, but for what the library knows."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from adapters.notice import words as w
from adapters.notice.wire import Notice, Party, Words
from dispatcher.domain.effects import AlertLine, Notify, Recipient, TellCitizen
from dispatcher.domain.library import Library
from dispatcher.views.outgoing import Outgoing
from routing_rules.policy import Policy

Carried = Notify | TellCitizen | AlertLine


def notice_of(
    effect: Carried, out: Outgoing | None, library: Library, *, key: UUID, at: datetime, base: str = ""
) -> Notice:
    """The document for one effect. ``out`` is the case as it stands, needed for the citizen's number and words."""
    kind = {Notify: "notify", TellCitizen: "tell-citizen", AlertLine: "alert-line"}[type(effect)]
    neutral = isinstance(effect, TellCitizen) and _neutral(out)
    texts = {}
    for language in w.languages():
        body = _body(effect, out, library, language)
        subject = "" if neutral else language.say("subject", w.SUBJECTS[kind], number=effect.number)
        texts[language.tag] = Words(subject=subject, body=body)
    return Notice(
        key=key,
        kind=kind,
        at=at,
        case=effect.case,
        number="" if neutral else effect.number,
        to=_party(effect, out, library, at),
        template=effect.template if not isinstance(effect, AlertLine) else "alert",
        level=effect.level if isinstance(effect, Notify) else 0,
        danger=isinstance(effect, AlertLine) or (out is not None and out.case.matter.danger),
        words=texts,
        link="" if isinstance(effect, TellCitizen) else base,
    )


def _body(effect: Carried, out: Outgoing | None, library: Library, language: w.Language) -> str:
    match effect:
        case AlertLine(number=number, line=line):
            utility = line.startswith("utility:")
            return language.say(
                "alert",
                w.ALERT["utility" if utility else "line"],
                number=number,
                line=line.removeprefix("utility:"),
            )
        case TellCitizen(number=number, template=template, said=said):
            if _neutral(out):
                return language.say("citizen", w.NEUTRAL)
            told = out.texts.get(said, "") if out is not None and said is not None else ""
            known = w.CITIZEN.get(template)
            if known is None:
                return language.say("notify", w.OTHER, number=number, template=template)
            return language.say("citizen", known, number=number, said=told)
        case Notify(number=number, template=template):
            known = w.NOTIFY.get(template)
            if known is not None:
                return language.say("notify", known, number=number)
            return _milestone(effect, library, language)


def _milestone(effect: Notify, library: Library, language: w.Language) -> str:
    """A ladder's words come from the policy's own names, which are its deployment's language."""
    if not effect.milestone:
        return language.say("notify", w.OTHER, number=effect.number, template=effect.template)
    clock = next((c.name for c in library.policy.clocks if c.id == effect.clock), effect.clock)
    if effect.milestone == "amber":
        return language.say("notify", w.AMBER, number=effect.number, clock=clock)
    rung = _rung(library.policy, effect.milestone.removeprefix("rung:").partition("#")[0])
    if effect.milestone == "limit" or not rung:
        return language.say("notify", w.LIMIT, number=effect.number, clock=clock, rung=rung).rstrip()
    return language.say(
        "notify", w.RUNG, number=effect.number, clock=clock, level=str(effect.level), rung=rung
    )


def _rung(policy: Policy, id_: str) -> str:
    return next((rung.name for ladder in policy.ladders for rung in ladder.rungs if rung.id == id_), "")


def _neutral(out: Outgoing | None) -> bool:
    """Whether the message must not say who writes or why: agreed so, or the case is confidential."""
    if out is None:
        return True
    safe = out.case.safe_contact
    return out.case.confidential or (safe is not None and safe.neutral_name)


def _party(effect: Carried, out: Outgoing | None, library: Library, at: datetime) -> Party:
    match effect:
        case TellCitizen():
            personal = out.personal if out is not None else None
            phone = (personal.contact or personal.caller) if personal is not None else ""
            return Party(role="citizen", phone=phone)
        case AlertLine(line=line, target=target):
            return _addressed(Recipient(role="unit-duty-phone", unit=target), line, library, at)
        case Notify(to=to):
            return _addressed(to, to.role, library, at)


def _addressed(to: Recipient, role: str, library: Library, at: datetime) -> Party:
    """The name and the number on duty of a unit or a platform."""
    code = to.unit or to.platform
    platform = library.directory.platform(code)
    if platform is not None:
        return Party(role=role, platform=code, name=platform.name, phone=platform.number)
    unit = library.unit(code)
    if unit is None:
        return Party(role=role, unit=to.unit, platform=to.platform)
    duty = library.organisation.on_duty(code, at)
    phone = {"unit-duty-leader": duty.leader_phone, "unit-deputy": duty.deputy_phone}.get(to.role, duty.phone)
    return Party(role=role, unit=code, name=unit.name, phone=phone)
