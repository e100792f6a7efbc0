"""The texts and the 3,000 rules that `benchmarks.ruling` measures with: made from our own examples, the same each run."""

from collections.abc import Iterator
from random import Random  # noqa: TID251 - seeded, so that every run measures the same

from routing_rules.loader import Rulebook
from routing_rules.schema import SITUATIONS

RULES = 3_000
SEED = 12345

# What people say around a matter. None of it is meant to be a matter itself.
AROUND = (
    "你好,我姓王,住在城东这边",
    "事情是这样的,我慢慢跟你说",
    "我刚下班回来,路过的时候看见的",
    "我们这一栋住的大多是老住户",
    "地方就在菜市场往北走两百米",
    "昨天晚上我就想打这个电话了",
    "我也不知道该找哪个部门",
    "麻烦你们给看一下这个情况",
    "旁边有一家超市和一个公交站",
    "前前后后已经有半个多月",
    "我跟他们说过几次,没有用",
    "邻居们也都知道这件事",
    "具体门牌号我记不太清楚",
    "我的电话就是现在打的这个",
    "白天家里一般没有人",
    "上回有人来看过,后来就没下文了",
    "我说的都是我亲眼看到的",
    "天气越来越冷,大家都不方便",
    "请你们尽快给我一个答复",
    "谢谢你,辛苦了",
    "那条路平时走的人很多",
    "我先说我的想法,再听你们的意见",
    "车子停在门口的空地上",
    "我妈让我打电话来问一问",
)


def matters(book: Rulebook) -> list[str]:
    """The sentences that our own lists carry as examples."""
    return [
        *(example.text for example in book.sheet.examples),
        *(text for item in book.sheet.items for text in item.examples),
    ]


def calls(book: Rulebook, length: int, count: int) -> list[str]:
    """Texts of one length as callers tell them: one matter, and everyday talk around it."""
    chance = Random(SEED)
    pool = [text for text in matters(book) if len(text) < length]
    made = []
    for n in range(count):
        parts = [pool[n * 7 % len(pool)]]
        while sum(map(len, parts)) + len(parts) < length:
            parts.insert(chance.randrange(len(parts) + 1), chance.choice(AROUND))
        made.append("。".join(parts)[:length])
    return made


def dense(book: Rulebook, length: int, count: int) -> list[str]:
    """Texts of one length that hold nothing but matters, one after the other: the hard case."""
    pool = matters(book)
    made = []
    for n in range(count):
        text, at = "", n
        while len(text) < length:
            text += pool[at % len(pool)] + "。"
            at = at * 31 + 17
        made.append(text[:length])
    return made


def further_list(book: Rulebook) -> bytes:
    """A list that brings the book to RULES items: half of them with words of their own, half with conditions of three
    facts of the lexicon, some of which are forbidden."""
    chance = Random(SEED)
    facts = sorted(book.lexicon.used - set(SITUATIONS))
    facts = [name for name in facts if "/" not in name]
    signs = sorted({sign for text in matters(book) for sign in text if "\u4e00" <= sign <= "\u9fff"})
    rows = ['[list]\nlayer = "benchmark"\nsource = "benchmarks.ruling"\ndated = 2026-01-01\n']
    rows += [
        f'[[item]]\nid = "more.{n}"\ntitle = "{n}"\npriority = {100_000 + n}\ntier = "ordinary"\nclause = "12345(2)"\n'
        f'platform = "12345"\nowners = ["housing"]\nbasis = "clause"\n{_condition(n, facts, signs, chance)}\n'
        for n in range(RULES - len(book.sheet.items))
    ]
    return "\n".join(rows).encode()


def _condition(n: int, facts: list[str], signs: list[str], chance: Random) -> str:
    if n % 2 == 0:
        words = ["".join(chance.choices(signs, k=3)) for _ in range(3)]
        return f"words = {words}".replace("'", '"')
    chosen = chance.sample(facts, 3)
    if n % 5 == 0:
        chosen[-1] = "!" + chosen[-1]
    return f'when = ["{" ".join(chosen)}"]'


def decision_rows(book: Rulebook) -> Iterator[tuple[str, str]]:
    """Every alternative of the book as an expression over `live.f1` and the like, and the item it decides for."""
    planes = {1: "live", 2: "past", 4: "supposed", 8: "any", 16: "head"}
    for row in book.terms.rows():
        wanted = [f"{planes[plane]}.f{fact} == true" for fact, plane in row.needed]
        unwanted = [
            f"{name}.f{fact} != true"
            for fact, held in row.forbidden.items()
            for plane, name in planes.items()
            if held & plane
        ]
        yield " and ".join([*wanted, *unwanted]), row.item.id
