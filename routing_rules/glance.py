"""A text at a glance: its words, and what they could mean together at the most.

No denial, time or distance is looked at. Most words of a text touch nothing that any item waits for, so this
settles cheaply what `facts.look` has to work out.
"""

from routing_rules.lexicon import Joint, Lexicon, Sign
from routing_rules.terms import Alternative, Shelf
from routing_rules.words import units


class Glance:
    """What the words of a text could mean at the most: no denial, time or distance has been looked at.

    `found` are the words with the end of their last unit, `present` the bits of their facts, `potential` these
    and those of `joints`, the compositions that may hold; `shelves` hold the alternatives that were woken.
    """

    __slots__ = ("found", "joints", "offsets", "potential", "present", "shelves", "text")

    def __init__(self, text: str, offsets: list[int] | None) -> None:
        self.text = text
        self.offsets = offsets
        self.found: list[tuple[int, Sign]] = []
        self.present = 0
        self.potential = 0
        self.joints: dict[int, Joint] = {}
        self.shelves: set[Shelf] = set()

    def gates(self) -> list[Alternative]:
        """The alternatives that decide at once, as far as all that they ask for may be there."""
        potential = self.potential
        return [
            row
            for shelf in self.shelves
            for row in shelf.gates
            if row.sure or row.asks & potential == row.asks
        ]

    def others(self) -> list[Alternative]:
        """All other alternatives, as far as all that they ask for may be there."""
        potential = self.potential
        present: set[int] | None = None
        rows = []
        for shelf in self.shelves:
            rows += shelf.sure
            pairs = shelf.pairs
            if pairs:
                if present is None:
                    present = {fact for _, sign in self.found for fact in sign.facts}
                    present.update(joint.number for joint in self.joints.values())
                for fact in present.intersection(pairs):
                    for row in pairs[fact]:
                        if row.asks & potential == row.asks:
                            rows.append(row)
        return rows


def glance(text: str, lexicon: Lexicon) -> Glance:
    """The words of a text, and what they could mean together at the most. Total and bounded."""
    folded, offsets = lexicon.folding.of(text)
    seen = Glance(folded, offsets)
    if not lexicon.signs:
        return seen
    found = seen.found
    woken = []
    present = 0
    for pair in lexicon.automaton.iter(units(folded)):
        # A match that begins between the two units of a character is none.
        if pair[0] & 1:
            found.append(pair)
            sign = pair[1]
            present |= sign.bits
            if sign.wakes:
                woken.append(sign)
    potential = present
    shelves: set[Shelf] = set()
    waiting: list[Joint] = []
    for sign in set(woken):
        shelves.update(sign.shelves)
        waiting += sign.joints
    joints = seen.joints
    # The list grows: a composition may be part of a later one.
    for joint in waiting:
        if joint.order in joints:
            continue
        for mask in joint.masks:
            if not mask & potential:
                break
        else:
            joints[joint.order] = joint
            shelves.update(joint.shelves)
            if not joint.bit & potential:
                potential |= joint.bit
            waiting += joint.wakes
    seen.present = present
    seen.potential = potential
    seen.shelves = shelves
    return seen
