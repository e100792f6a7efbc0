"""Looking for repeats and one event among many cases: how long it takes, and how often it is right.

Right: the labelled pairs of `duplicate_pairs`, precision and recall, those looked at and those not. Fast: the whole look
(one number's history, one place's window, comparing, states) on both engines over cases spread by place and time as a
province has them. Beside it in the same run, on the same PostgreSQL, its own trigram search over the same window.

`python -m benchmarks.duplicates [--quick|--full] [--json]`
"""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - a seeded draw
import time
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import text

from benchmarks.duplicate_pairs import SEEN, UNSEEN, Pair
from benchmarks.figures import Figures, Options, read_options
from benchmarks.ground import MONDAY, engines, fill, library, store
from dispatcher.domain.library import Library
from dispatcher.domain.product import LiandongProduct
from dispatcher.runtime.clock import ManualClock
from dispatcher.store.database import Database
from dispatcher.views.related import Asked, look
from routing_rules.duplicates import Features, Told
from routing_rules.ruling import Hints

COUNTY = "630102"
SPAN = timedelta(days=365)
"""The cases are those of a year."""


def features(books: Library, line: str, words: str, minutes: int) -> Features:
    """A call as it is compared, ruled by the lists first."""
    at = MONDAY + timedelta(minutes=minutes)
    ruling = books.rule(words, line=line, division=COUNTY, at=at, hints=Hints())
    told = Told(
        line=line,
        text=words,
        place=COUNTY,
        category=ruling.category,
        item=ruling.item,
        danger=ruling.danger,
        received=at,
    )
    return books.duplicates.features(told)


def judged(books: Library, pairs: Sequence[Pair]) -> tuple[float, float]:
    """Precision and recall of the suggestions."""
    right = wrong = missed = 0
    for pair in pairs:
        newest = features(books, pair.line, pair.other, pair.minutes)
        likely = books.duplicates.compare(newest, features(books, pair.line, pair.one, 0))
        hit = likely.score >= books.duplicates.suggest
        right += hit and pair.same
        wrong += hit and not pair.same
        missed += pair.same and not hit
    return right / max(1, right + wrong), right / max(1, right + missed)


async def spread(database: Database, books: Library) -> None:
    """Give the copied cases places, times and numbers of callers as a year in a province has them."""
    counties = [one for prefecture in books.places.prefectures() for one in books.places.counties(prefecture)]
    # every sixth case in one county, the rest over all; some callers call a thousand times
    seconds = int(SPAN.total_seconds())
    async with database.writing() as connection:
        if database.is_postgres:
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            array = ",".join(f"'{one}'" for one in counties)
            await connection.execute(
                text(
                    "UPDATE stream SET"
                    f" division = CASE WHEN random() < 0.16 THEN '{COUNTY}' ELSE"
                    f" (ARRAY[{array}])[1 + floor(random() * {len(counties)})::int] END,"
                    f" received = received - random() * interval '{seconds} seconds',"
                    " caller_mac = sha256(floor(power(random(), 3) * 200000)::text::bytea)"
                )
            )
            return
        cases = " ".join(f"WHEN {n} THEN '{one}'" for n, one in enumerate(counties))
        await connection.execute(
            text(
                f"UPDATE stream SET division = CASE WHEN abs(random()) % 100 < 16 THEN '{COUNTY}' ELSE"
                f" CASE abs(random()) % {len(counties)} {cases} END END,"
                f" received = strftime('%Y-%m-%d %H:%M:%f', received, '-' || (abs(random()) % {seconds}) || ' seconds')"
                " || '000',"
                " caller_mac = CAST(substr('00000000' || (abs(random()) % (1 + abs(random()) % 200000)), -8) AS BLOB)"
            )
        )


async def vacuum(database: Database) -> None:
    """What autovacuum would have done by then; each new row version would be looked at twice otherwise."""
    if database.is_postgres:
        import asyncpg

        connection = await asyncpg.connect(database.dsn)
        await connection.execute("VACUUM ANALYZE stream")
        await connection.close()


async def looks(database: Database, books: Library, count: int) -> list[float]:
    """Seconds of each look, for calls drawn from the labelled pairs, anywhere in the year's last tenth."""
    draw = random.Random(7)
    async with database.looking() as connection:
        macs = (await connection.execute(text("SELECT caller_mac FROM stream LIMIT 500"))).scalars().all()
    asked = []
    for _ in range(count):
        pair = draw.choice(SEEN + UNSEEN)
        at = MONDAY - timedelta(seconds=draw.random() * SPAN.total_seconds() / 10)
        ruling = books.rule(pair.one, line="12345", division=COUNTY, at=at, hints=Hints())
        asked.append(
            Asked(
                text=pair.one,
                line="12345",
                place=COUNTY,
                category=ruling.category,
                item=ruling.item,
                danger=ruling.danger,
                received=at,
                caller_mac=bytes(draw.choice(macs)),
            )
        )
    for one in asked[:30]:
        await look(database, books, one)  # statements are prepared, pages are read
    taken = []
    for one in asked:
        began = time.perf_counter()
        await look(database, books, one)
        taken.append(time.perf_counter() - began)
    return taken


async def trigrams(database: Database, count: int) -> list[float] | None:
    """Seconds of each trigram search over the same place and window; None where the extension is not there."""
    draw = random.Random(7)
    try:
        async with database.writing() as connection:
            await connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
    except Exception as err:  # noqa: BLE001 - a peer that is not installed is reported, whatever the reason
        print(f"pg_trgm is not there: {type(err).__name__}")
        return None
    statement = text(
        "SELECT s.id, similarity(t.words, :words) AS alike FROM stream s JOIN text t ON t.stream_id = s.id AND t.no = 0"
        f" WHERE s.division = '{COUNTY}' AND s.received BETWEEN :since AND :until ORDER BY alike DESC LIMIT 20"
    )
    taken = []
    for _ in range(count):
        pair = draw.choice(SEEN + UNSEEN)
        at = MONDAY - timedelta(seconds=draw.random() * SPAN.total_seconds() / 10)
        asked = {"words": pair.one, "since": at - timedelta(hours=24), "until": at}
        async with database.looking() as connection:
            began = time.perf_counter()
            (await connection.execute(statement, asked)).all()
            taken.append(time.perf_counter() - began)
    return taken


def at_share(taken: Sequence[float], share: float) -> float:
    """The time within which this share of them ended, in milliseconds."""
    return sorted(taken)[min(len(taken) - 1, int(len(taken) * share))] * 1000


async def engine(name: str, url: str, books: Library, options: Options, figures: Figures) -> None:
    """All figures of one engine."""
    clock = ManualClock(MONDAY)
    cases = options.pick(quick=4_000, normal=100_000, full=1_000_000)
    async with store(url, LiandongProduct(books), clock) as (database, writer):
        await fill(database, writer, cases)
        await spread(database, books)
        await vacuum(database)
        taken = await looks(database, books, options.pick(quick=200, normal=1000, full=2000))
        figures.add(f"{name}_cases", cases, "cases")
        figures.add(f"{name}_look_p50", at_share(taken, 0.5), "ms")
        p99 = at_share(taken, 0.99)
        figures.add(f"{name}_look_p99", p99, "ms", "<= 5", p99 <= 5)
        if database.is_postgres and (peer := await trigrams(database, len(taken) // 4)) is not None:
            figures.add(f"{name}_trigram_p50", at_share(peer, 0.5), "ms")
            figures.add(f"{name}_trigram_p99", at_share(peer, 0.99), "ms")


def main() -> int:
    """Measure; 1 where an aim was missed."""
    options = read_options("Repeats and events: accuracy, and time of a look")
    figures = Figures()
    books = library()
    for name, pairs in (("seen", SEEN), ("unseen", UNSEEN)):
        precision, recall = judged(books, pairs)
        figures.add(f"{name}_pairs", len(pairs), "pairs")
        figures.add(f"{name}_precision", precision, "share")
        figures.add(f"{name}_recall", recall, "share")
    with engines(("sqlite", "postgres")) as urls:
        for name, url in urls.items():
            asyncio.run(engine(name, url, books, options, figures))
    figures.print_all(options.as_json)
    return 0 if figures.all_ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
