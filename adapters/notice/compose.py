"""From an effect to a notice: who is meant, what they are told. Pure, but for what the library knows."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final
from uuid import UUID

from adapters.notice import words as w
from adapters.notice.wire import Notice, Party, Words
from dispatcher.domain.effects import AlertLine, Notify, Recipient, TellCitizen
from dispatcher.domain.library import Library
from dispatcher.views.outgoing import Outgoing
from routing_rules.duty import Contact, is_mobile
from routing_rules.policy import Policy

Carried = Notify | TellCitizen | AlertLine

_NUMBER: Final = re.compile(r"[0-9]+-[0-9]{6}-([0-9]{4})-0*([0-9]+)")


def notice_of(
    effect: Carried, out: Outgoing | None, library: Library, *, key: UUID, at: datetime, base: str = ""
) -> Notice:
    """The document for one effect. ``out`` is the case as it stands, needed for the citizen's number and words."""
    kind = {Notify: "notify", TellCitizen: "tell-citizen", AlertLine: "alert-line"}[type(effect)]
    neutral = is_neutral(effect, out)
    texts = {}
    for language in w.languages():
        body = body_of(effect, out, library, language)
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


def is_urgent(effect: Carried, out: Outgoing | None) -> bool:
    """Whether it waits for nothing: an alert, and whatever is about an urgent or dangerous case."""
    if isinstance(effect, AlertLine):
        return True
    if isinstance(effect, TellCitizen) or out is None:
        return False  # nobody is woken to be told that their request is closed
    return out.case.matter.danger or out.case.matter.urgency == "urgent"


def role_of(effect: Carried) -> str:
    """The recipient's role, by which its channels are found."""
    match effect:
        case TellCitizen():
            return "citizen"
        case AlertLine():
            return "duty-desk"
        case Notify(to=to):
            return to.role


def is_neutral(effect: Carried, out: Outgoing | None) -> bool:
    """Whether a citizen's message must not say who writes or why: agreed so, or the case is confidential."""
    if not isinstance(effect, TellCitizen):
        return False
    if out is None:
        return True
    safe = out.case.safe_contact
    return out.case.confidential or (safe is not None and safe.neutral_name)


def spoken_number(number: str, language: w.Language) -> str:
    """A case number as it is said on the telephone: its year and its count, not its twenty-five signs."""
    found = _NUMBER.fullmatch(number)
    if found is None:
        return number
    return language.say("phone", w.SPOKEN_NUMBER, year=found[1], count=found[2])


def body_of(
    effect: Carried, out: Outgoing | None, library: Library, language: w.Language, *, spoken: bool = False
) -> str:
    """What one effect says in one language; ``spoken``: as it is read out."""
    called = spoken_number(effect.number, language) if spoken else effect.number
    match effect:
        case AlertLine(line=line):
            utility = line.startswith("utility:")
            return language.say(
                "alert",
                w.ALERT["utility" if utility else "line"],
                number=called,
                line=line.removeprefix("utility:"),
            )
        case TellCitizen(template=template, said=said):
            if is_neutral(effect, out):
                return language.say("citizen", w.NEUTRAL)
            told = out.texts.get(said, "") if out is not None and said is not None else ""
            known = w.CITIZEN.get(template)
            if known is None:
                return language.say("notify", w.OTHER, number=called, template=template)
            return language.say("citizen", known, number=called, said=told)
        case Notify(template=template):
            known = w.NOTIFY.get(template)
            if known is not None:
                return language.say("notify", known, number=called)
            return _milestone(effect, called, library, language)


def _milestone(effect: Notify, called: str, library: Library, language: w.Language) -> str:
    """A ladder's words come from the policy's own names, which are its deployment's language."""
    if not effect.milestone:
        return language.say("notify", w.OTHER, number=called, template=effect.template)
    clock = next((c.name for c in library.policy.clocks if c.id == effect.clock), effect.clock)
    kind, _, name = effect.milestone.partition("#")[0].partition(":")
    rung = _rung(library.policy, name)
    if effect.text:  # the rung's own words, as its policy's language has them
        return effect.text.format(number=called, clock=clock, rung=rung, level=effect.level)
    if kind in ("amber", "early"):
        return language.say("notify", w.AMBER, number=called, clock=clock)
    if kind == "limit" or not rung:
        return language.say("notify", w.LIMIT, number=called, clock=clock, rung=rung).rstrip()
    return language.say("notify", w.RUNG, number=called, clock=clock, level=str(effect.level), rung=rung)


def _rung(policy: Policy, id_: str) -> str:
    rungs = (rung for ladder in policy.ladders for rung in (*ladder.early, *ladder.rungs))
    return next((rung.name for rung in rungs if rung.id == id_), "")


def _party(effect: Carried, out: Outgoing | None, library: Library, at: datetime) -> Party:
    match effect:
        case TellCitizen():
            personal = out.personal if out is not None else None
            phone = (personal.contact or personal.caller) if personal is not None else ""
            return Party(role="citizen", phone=phone, mobile=phone if is_mobile(phone) else "")
        case AlertLine(line=line, target=target):
            platform = library.directory.platform(target)
            if platform is not None:
                # Another line has its own desk and its own number; software does not ring 119.
                return Party(role=line, platform=target, name=platform.name, phone=platform.number)
            return _addressed(Recipient(role="duty-desk", unit=target), line, library, at)
        case Notify(to=to):
            return _addressed(to, to.role, library, at)


def _addressed(to: Recipient, role: str, library: Library, at: datetime) -> Party:
    """The name of a unit or a platform, and how whoever is on duty there now is reached."""
    code = to.unit or to.platform
    platform = library.directory.platform(code)
    unit = library.organisation.running(code) if platform is not None else library.unit(code)
    if unit is None:
        if platform is None:
            return Party(role=role, unit=to.unit, platform=to.platform)
        return Party(role=role, platform=code, name=platform.name, phone=platform.number)
    contact: Contact = library.organisation.contact(to.role, unit.code, at)
    return Party(
        role=role,
        unit="" if platform is not None else unit.code,
        platform=code if platform is not None else "",
        name=platform.name if platform is not None else unit.name,
        phone=contact.phone,
        mobile=contact.text_number,
        email=contact.email,
        person=contact.name,
        stands_in=contact.stands_in,
    )
