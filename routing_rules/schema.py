"""The shapes of lists and lexicons: what a list owner may write, and what a compiled sheet holds."""

import datetime as dt
from typing import Literal

import msgspec

PLATFORMS = frozenset({"110", "12345", "119", "120", "122", "other", "none"})
RESCUE = frozenset({"110", "119", "120", "122"})
UNIT_KINDS = frozenset(
    [
        "urban-management",
        "housing",
        "market",
        "human-resources",
        "education",
        "health",
        "ecology",
        "transport",
        "traffic-police",
        "public-security",
        "civil-affairs",
        "justice",
        "agriculture",
        "water",
        "natural-resources",
        "forestry",
        "emergency",
        "culture",
        "development-reform",
        "commerce",
        "tax",
        "medical-insurance",
        "housing-fund",
        "big-data",
        "disabled-veterans",
        "ethnic-religious",
        "fire-rescue",
        "petition",
        "supervision",
        "government",
        "power",
        "water-supply",
        "gas",
        "heating",
        "telecom",
        "post",
        "public-transport",
        "railway",
        "women-federation",
        "disabled-federation",
        "union",
        "finance",
        "sports",
        "statistics",
        "science-industry",
        "tobacco",
    ]
)
UTILITIES = frozenset(
    {
        "utility:gas",
        "utility:power",
        "utility:water",
        "utility:heating",
        "utility:telecom",
        "utility:elevator",
    }
)
DOORS = frozenset(
    {
        "12356",
        "12338",
        "12389",
        "12388",
        "96110",
        "12110",
        "114",
        "12122",
        "12348",
        "12315",
        "12309",
        "12368",
        "95598",
    }
)

# Facts that no word states: they come from the shape of the text, from the hour or from the desk.
SITUATIONS = (
    "letter",
    "brief",
    "plain-speech",  # brief, and without any phrase of letters
    "feared",  # something is feared, supposed or asked about
    "at-night",
    "hint-silent",
    "hint-cut-off",
    "hint-risk",
    "hint-distress",
    # What the ear makes of the sound of a text: the service it would lead to, others that come beside it, …
    "heard-fire",
    "heard-ill",
    "heard-crime",
    "beside-fire",
    "beside-ill",
    "beside-crime",
    "heard-loud",  # so clearly that an ordinary item does not silence it
    # … and what kind of everyday matter it sounds like.
    "sounds-everyday",
    "sheer-everyday",  # so clearly that it outweighs the weaker words of danger, never those of a life at risk
    "sounds-hotline",
    "sounds-police",
    "sounds-private",
    "sounds-elsewhere",
    "leans-police",  # rather this than anything else, though not surely
    "leans-private",
)
HEARD = ("heard-fire", "heard-ill", "heard-crime")
BESIDE = ("beside-fire", "beside-ill", "beside-crime")
LOUD = "heard-loud"
EVERYDAY = ("sounds-everyday", "sheer-everyday")
LEANS = ("", "leans-police", "leans-private", "")
SOUNDS = ("sounds-hotline", "sounds-police", "sounds-private", "sounds-elsewhere")

Tier = Literal["gate", "about", "police", "elsewhere", "doubt", "ordinary", "last"]
TIERS: tuple[Tier, ...] = ("gate", "about", "police", "elsewhere", "doubt", "ordinary", "last")
DANGEROUS = frozenset({"gate", "doubt"})
Role = Literal[
    "fact",  # a word that states something
    "mask",  # a word that hides the facts inside it (打车 is not a blow)
    "negation",  # denies the fact that follows at once
    "past",  # sets what is told in the past until a word of now
    "now",  # going on at this moment
    "summon",  # as now, and said to make somebody come: it wakes even a letter
    "supposed",  # what follows in the clause is feared, possible or asked about
    "supposed-before",  # what precedes in the clause is only a risk
    "supposed-sentence",  # what follows in the sentence is only a condition
    "written",  # a phrase of letters and petitions rather than of calls
    "sentence",
    "clause",
]


class Concept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words with one meaning. `(a|b|)c` in a word stands for every combination.

    `persists`: a past time does not end it (missing, trapped, locked up). `doubt`: fear or supposition of
    it counts as the thing itself (self-harm, threats). `spoken`: it is live even in a letter. `plain`:
    negation and supposition do not touch it (a topic stays a topic).
    """

    name: str = ""
    words: tuple[str, ...]
    role: Role = "fact"
    persists: bool = False
    doubt: bool = False
    spoken: bool = False
    plain: bool = False


class Composition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fact made of facts standing near each other, at most `within` characters apart, in one sentence.

    Each part is a concept or alternatives `a|b`. `ordered` demands the written order, `clause` that no comma
    stands between; `unless` names concepts whose presence in the same sentence spoils it.
    """

    name: str
    near: tuple[str, ...]
    within: int = 8
    ordered: bool = False
    clause: bool = False
    unless: tuple[str, ...] = ()


class Flip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A condition that turns the item into another one: in words, to which item, and a call that shows it."""

    said: str = msgspec.field(name="if")
    to: str
    example: str


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a responsibility list.

    `when` holds alternatives; in each, every term must hold: `fact`, `!fact`, or with a plane `live:`,
    `past:`, `supposed:`, `any:`, `head:`. Without a plane the tier decides: gate reads live facts, police
    facts at the head of the text, the others any mention. `dual` are lines that act at once beside the
    platform, `tell` those that are told. `words` are the item's own: a fact `words/ID` is made of them, and it
    is one more alternative. `alone` items speak only when no ordinary item
    does, or the ear hears danger loudly. `source` is a document or an address, or `basis` says "clause". `flips` are what turns it into another item.

    `self_dispatch` is the owner's choice that a case of this item may be assigned without a person: the confidence from
    which on, 0 for never. It may be recalled within `recall_minutes`; the share `sampled` is put aside for inspection.

    An overlay (a list with a narrower division) adds items of its own, overrides one (`base` names it; what is given
    here replaces what stands there) or narrows one (`base` with `only`: there the item holds in these cases only,
    besides what `unless` adds). In its division the base itself is then silent.
    """

    id: str
    title: str
    priority: int
    tier: Tier
    clause: str
    platform: str
    when: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    source: str = ""
    basis: Literal["", "clause"] = ""
    owners: tuple[str, ...] = ()
    category: str = ""
    urgency: Literal["urgent", "general", "complex", "joint"] = "general"
    dual: tuple[str, ...] = ()
    tell: tuple[str, ...] = ()
    urgent: bool = False
    alone: bool = False
    kind: Literal["", "咨询", "求助", "投诉", "举报", "建议"] = ""
    guidance: str = ""
    contested: bool = False
    about: str = ""
    confidence: float = 0.0
    channels: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    since: dt.date | None = None
    until: dt.date | None = None
    examples: tuple[str, ...] = ()
    flips: tuple[Flip, ...] = ()
    self_dispatch: float = 0.0
    recall_minutes: int = 10
    sampled: float = 0.05
    base: str = ""
    only: tuple[str, ...] = ()
    layer: str = ""
    division: str = ""


class ListHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose list it is: the layer, the division (leading digits of the GB/T 2260 code), source and date."""

    layer: str
    division: str = ""
    source: str
    dated: dt.date


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text of our own that must come out as stated; empty fields are not checked."""

    text: str
    platform: str = ""
    danger: bool | None = None
    item: str = ""
    also: tuple[str, ...] = ()
    decision: str = ""
    line: Literal["12345", "110"] = "12345"
    urgent: bool | None = None


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a rulebook holds, as plain data: what is hashed, cached and compared."""

    heads: tuple[ListHead, ...]
    concepts: tuple[Concept, ...]
    compositions: tuple[Composition, ...]
    items: tuple[Item, ...]
    examples: tuple[Example, ...]
    traditional: str = ""
    simplified: str = ""


class RuleFault(Exception):
    """One fault in a list or lexicon: where it stands, the field, its value and what would mend it."""

    def __init__(self, where: str, field: str, value: object, remedy: str) -> None:
        self.where = where
        self.field = field
        self.value = value
        self.remedy = remedy
        super().__init__(f"{where}: {field} = {value!r}: {remedy}")
