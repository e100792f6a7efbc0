"""What of a ruling is settled by its item alone, worked out once when the lists are read."""

from routing_rules.ruling import Urgency
from routing_rules.schema import DANGEROUS, RESCUE, Item

BASE_CONFIDENCE = {
    "gate": 0.93,
    "about": 0.88,
    "police": 0.85,
    "elsewhere": 0.82,
    "doubt": 0.6,
    "ordinary": 0.9,
    "last": 0.3,
}
CONTESTED_AT_MOST = 0.6


class Verdict:
    """The part of a ruling that does not depend on the text.

    `several` lines act at once, `also` hear of it. An item that `decides` needs no look at later tiers: it is a
    gate, and neither what it names nor whether it speaks depends on other items.
    """

    __slots__ = (
        "also",
        "confidence",
        "danger",
        "decides",
        "item",
        "lead",
        "rescuers",
        "several",
        "tier",
        "urgency",
        "urgent",
    )

    def __init__(self, item: Item) -> None:
        self.item = item
        self.tier = item.tier
        self.danger = item.tier in DANGEROUS
        self.decides = item.tier == "gate" and item.about != "unit" and not item.alone
        self.confidence = item.confidence or BASE_CONFIDENCE[item.tier]
        if item.contested:
            self.confidence = min(self.confidence, CONTESTED_AT_MOST)
        self.urgent = item.platform == "110" and (self.danger or item.urgent)
        self.urgency = Urgency.urgent if self.danger else Urgency(item.urgency)
        self.several = len({item.platform, *item.dual} & (RESCUE | {"12345"})) > 1
        self.also = tuple(dict.fromkeys(line for line in (*item.dual, *item.tell) if line != item.platform))
        # Lines that rescue when this item holds beside another danger.
        self.rescuers = tuple(line for line in (item.platform, *item.dual) if line in RESCUE)
        lead = "涉及现实危险,先救援后归属" if self.danger else "清单事项"
        self.lead = f"{lead}:{item.title}"
