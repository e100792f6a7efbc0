"""Questions: filters, pages that stay stable, deadlines, dead letters, bulk export."""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from dispatcher.domain.product import LiandongProduct
from dispatcher.domain.stream import Actor
from dispatcher.store.verify import verify
from dispatcher.wiring import CODEC
from tests.api import people
from tests.api.conftest import Api

CHIEF = people.supervisor()


async def _register(api: Api, count: int, words: str = "路灯不亮") -> list[str]:
    """Register some calls, a minute apart."""
    made = []
    for no in range(count):
        answered = await api.ask("POST", "/calls", people.agent(), json={"words": f"{words},第{no}盏"})
        made.append(answered.json["case"])
        api.clock.set(api.clock.now() + timedelta(minutes=1))
    return made


async def _pages(api: Api, question: str, member: str) -> list[Any]:
    """All rows of a question, page after page."""
    rows: list[Any] = []
    cursor = ""
    while True:
        page = (await api.ask("GET", f"{question}{cursor and f'&cursor={cursor}'}", CHIEF)).json
        rows += page[member]
        if page["next"] is None:
            return rows
        cursor = page["next"]


@pytest.mark.parametrize("order", ["received", "-received", "due"])
async def test_pages_show_every_case_once_in_order(api: Api, order: str) -> None:
    made = await _register(api, 7)

    rows = await _pages(api, f"/cases?limit=3&order={order}", "cases")

    assert sorted(row["id"] for row in rows) == sorted(made)
    if order == "due":
        assert [row["due"] for row in rows] == sorted(row["due"] for row in rows)
    else:
        assert [row["id"] for row in rows] == (made[::-1] if order == "-received" else made)


async def test_a_case_that_comes_between_two_pages_moves_nothing(api: Api) -> None:
    made = await _register(api, 4)
    first = (await api.ask("GET", "/cases?limit=2", CHIEF)).json

    await _register(api, 1)
    second = (await api.ask("GET", f"/cases?limit=2&cursor={first['next']}", CHIEF)).json

    assert [row["id"] for row in first["cases"] + second["cases"]] == made[::-1]
    assert second["next"] is None


async def test_a_cursor_serves_the_order_it_was_given_for(api: Api) -> None:
    await _register(api, 3)
    first = (await api.ask("GET", "/cases?limit=1&order=received", CHIEF)).json

    answered = await api.ask("GET", f"/cases?limit=1&order=due&cursor={first['next']}", CHIEF)

    assert (answered.status, answered.json["code"]) == (422, "bad-cursor")


async def test_filters_narrow(api: Api) -> None:
    lamp, *_ = await _register(api, 1)
    sent = {"words": "有人拿刀砍人", "division": "630103"}
    danger = (await api.ask("POST", "/calls", people.agent(), json=sent)).json

    async def found(query: str) -> set[str]:
        return {row["id"] for row in (await api.ask("GET", f"/cases?{query}", CHIEF)).json["cases"]}

    assert await found("danger=true") == {danger["case"]}
    assert await found("danger=false") == {lamp}
    assert await found("division=630100") == {danger["case"]}
    assert await found("division=630104") == set()
    assert await found(f"stage={danger['stage']}&stage=archived") == {danger["case"]}
    assert await found(f"number={danger['number']}") == {danger["case"]}
    assert await found(
        "platform=12345-630100&open=true&lamp=green&received_from=2026-11-18T10:00:00%2B08:00"
    ) == {
        lamp,
        danger["case"],
    }
    assert await found("received_until=2026-11-18T10:00:00%2B08:00") == set()
    assert await found("urgency=urgent") == {danger["case"]}
    assert await found("lamp=red") == set()


async def test_a_case_is_found_by_its_number(api: Api) -> None:
    made = (await api.ask("POST", "/calls", people.agent(), json={"words": "路灯不亮"})).json

    answered = await api.ask("GET", f"/cases/by-number/{made['number']}", CHIEF)

    assert answered.json["line"]["id"] == made["case"]
    assert (await api.ask("GET", "/cases/by-number/12345-630100-2026-9999999", CHIEF)).status == 404


async def test_numbers_and_names_in_texts_are_masked(api: Api) -> None:
    sent = {"words": "我叫张三丰,电话13897001234,身份证630102199001011234,路灯不亮"}
    case = (await api.ask("POST", "/calls", people.agent(), json=sent)).json["case"]

    for path in (f"/cases/{case}", f"/cases/{case}/trail", "/cases", "/deadlines"):
        body = (await api.ask("GET", path, CHIEF)).body.decode()
        assert "13897001234" not in body and "199001011234" not in body and "张三丰" not in body, path


async def test_deadlines_come_by_time_left_and_page_by_page(api: Api) -> None:
    await _register(api, 3)

    rows = await _pages(api, "/deadlines?limit=2", "deadlines")

    assert [row["due"] for row in rows] == sorted(row["due"] for row in rows)
    assert len({(row["case"], row["clock"], row["milestone"]) for row in rows}) == len(rows) >= 6


async def test_figures_count_what_is_open(api: Api) -> None:
    await _register(api, 2)

    figures = (await api.ask("GET", "/figures", CHIEF)).json

    assert figures["open"] == 2 == sum(figures["by_stage"].values()) == sum(figures["by_lamp"].values())
    assert figures["by_platform"] == {people.HOTLINE: 2}


async def test_the_trail_says_who_when_and_under_which_lists(api: Api) -> None:
    (case,) = await _register(api, 1)

    entries = (await api.ask("GET", f"/cases/{case}/trail", CHIEF)).json["entries"]

    registered, ruled = entries[:2]
    assert (registered["what"], registered["by"]) == ("登记受理", people.agent().id)
    assert registered["said"] == "路灯不亮,第0盏"
    assert ruled["what"] == "按清单判定" and people.library().book.digest.startswith(ruled["lists"])
    assert ruled["lists"]


async def test_events_are_exported_in_commit_order_and_go_on_after_a_position(api: Api) -> None:
    await _register(api, 3)
    stored = await api.events()

    all_of_them = await api.ask("GET", "/export/events", CHIEF)
    lines = [msgspec.json.decode(line) for line in all_of_them.body.splitlines()]
    later = await api.ask("GET", f"/export/events?after={lines[3]['position']}&limit=2", CHIEF)

    assert all_of_them.headers["Content-Type"].startswith("application/x-ndjson")
    assert [line["position"] for line in lines] == list(range(1, stored + 1))
    assert [msgspec.json.decode(line) for line in later.body.splitlines()] == lines[4:6]


async def test_cases_are_exported_as_a_table_that_spreadsheets_read(api: Api) -> None:
    made = await _register(api, 2)
    formula = {"words": "路灯不亮", "title": "=HYPERLINK(1)"}
    made.append((await api.ask("POST", "/calls", people.agent(), json=formula)).json["case"])

    answered = await api.ask("GET", "/export/cases?format=csv", CHIEF)

    assert answered.body.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answered.body.decode("utf-8-sig"))))
    assert {row["诉求编号"] for row in rows} == set(made)
    assert [row["标题"] for row in rows if "HYPERLINK" in row["标题"]] == ["'=HYPERLINK(1)"]
    assert rows[0]["首接时间"].startswith("2026-11-18 10:")


async def _exports(api: Api) -> list[dict[str, Any]]:
    """What the log says of exports, oldest first."""
    question = text("SELECT body, \"by\", at FROM event WHERE stream_kind = 'export' ORDER BY position")
    async with api.services.database.looking() as connection:
        rows = (await connection.execute(question)).all()
    return [{**msgspec.json.decode(row.body), "by": row.by, "at": row.at} for row in rows]


async def test_an_export_is_an_event_with_who_what_scope_filter_count_and_digest(api: Api) -> None:
    await _register(api, 2)

    given = await api.ask("GET", "/export/cases?format=csv&open=true", CHIEF)

    begun, ended = await _exports(api)
    assert (begun["kind"], begun["by"], begun["what"]) == ("export-begun.1", CHIEF.id, "cases")
    assert (begun["format"], begun["filters"]) == ("csv", {"format": "csv", "open": "true"})
    assert people.HOTLINE in begun["platforms"]
    assert (ended["kind"], ended["rows"], ended["whole"]) == ("export-ended.1", 2, True)
    assert ended["digest"] == hashlib.sha256(given.body).hexdigest()
    proof = await verify(api.services.database, LiandongProduct(people.library()), CODEC)
    assert proof.faults == ()


async def test_a_refused_export_leaves_no_record(api: Api) -> None:
    assert (await api.ask("GET", "/export/cases?nonsense=1", CHIEF)).status == 422
    assert (await api.ask("GET", "/export/cases", people.agent())).status == 403

    assert await _exports(api) == []


async def test_an_export_holds_only_what_its_reader_may_see(api: Api) -> None:
    await _register(api, 1)
    stranger = people.supervisor("12345-630200")

    assert (await api.ask("GET", "/export/events", stranger)).body == b""
    assert (await api.ask("GET", "/export/cases", stranger)).body == b""


async def _dead_letter(api: Api) -> str:
    """A letter that was given up."""
    await api.ask("POST", "/calls", people.agent(), json={"words": "有人拿刀砍人", "division": "630103"})
    outbox = api.services.letters
    (first, *_) = await outbox.claim(api.clock.now(), hold=timedelta(minutes=1))  # type: ignore[attr-defined]
    await outbox.dead(first, "refused by the receiver")  # type: ignore[attr-defined]
    return str(first.key)


async def test_a_dead_letter_is_seen_and_sent_again(api: Api) -> None:
    key = await _dead_letter(api)

    (letter,) = (await api.ask("GET", "/dead-letters", CHIEF)).json["letters"]
    sent = await api.ask("POST", f"/dead-letters/{key}/resend", CHIEF)

    assert (letter["key"], letter["last_error"]) == (key, "refused by the receiver")
    assert sent.json == {"key": key, "state": "ready"}
    assert (await api.ask("GET", "/dead-letters", CHIEF)).json["letters"] == []
    assert (await api.ask("POST", f"/dead-letters/{key}/resend", CHIEF)).status == 404


async def test_a_dead_letter_is_given_up_with_a_reason_only(api: Api) -> None:
    key = await _dead_letter(api)

    bare = await api.ask("POST", f"/dead-letters/{key}/skip", CHIEF, json={"reason": " "})
    done = await api.ask("POST", f"/dead-letters/{key}/skip", CHIEF, json={"reason": "已电话告知"})

    assert bare.status == 422
    assert done.json == {"key": key, "state": "skipped"}


async def test_a_dead_letter_of_another_platform_is_not_there(api: Api) -> None:
    key = await _dead_letter(api)
    stranger = people.supervisor("12345-630200")

    assert (await api.ask("GET", "/dead-letters", stranger)).json["letters"] == []
    assert (await api.ask("POST", f"/dead-letters/{key}/resend", stranger)).status == 404


async def test_a_text_is_ruled_and_nothing_is_kept(api: Api) -> None:
    sent = {"text": "我家暖气不热", "division": "630102"}

    answered = await api.ask("POST", "/rulings", people.agent(), json=sent)

    assert answered.json["ruling"]["platform"] == "12345"
    assert answered.json["ruling"]["receiver"].startswith("12345-63")
    assert people.unit_of("heating") in answered.json["units"]
    assert await api.events() == 0


async def test_working_time_is_told(api: Api) -> None:
    question = "/worktime?start=2026-02-14T10:00:00%2B08:00&n=1"

    answered = await api.ask("GET", question, people.agent())

    assert answered.json["due"] == "2026-02-24T17:30:00+08:00"
    far = await api.ask("GET", "/worktime?start=0001-01-01T00:00:00%2B08:00&n=1", people.agent())
    assert (far.status, far.json["field"]) == (422, "start")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
async def test_an_instant_beyond_the_calendar_is_refused_in_words(api: Api, at: str) -> None:
    answered = await api.ask("GET", f"/cases?received_from={at}", people.agent())

    assert (answered.status, answered.json["field"]) == (422, "received_from")


async def test_every_unit_that_has_a_part_in_a_case_finds_it_in_its_list(api: Api) -> None:
    """Lead, co-handler, a unit offered a claim, a lower tier, also after it replied; nobody else."""
    huangzhong = people.library().places.best("湟中区", "")
    bureau = people.unit_of("urban-management", huangzhong)
    tree = people.library().organisation
    section = tree.children(bureau)[0].code
    helper, claimer = people.unit_of("housing", huangzhong), people.unit_of("water-supply", huangzhong)
    sent = {"words": "湟中区人行道上的路灯不亮", "division": huangzhong}
    assigned = (await api.ask("POST", "/calls", people.agent(), json=sent)).json["case"]
    offered = (await api.ask("POST", "/calls", people.agent(), json={**sent, "words": "井盖没有了"})).json[
        "case"
    ]

    async def told(case: str, name: str, actor: Actor, **fields: Any) -> None:
        answered = await api.ask("POST", f"/cases/{case}/{name}", actor, json=fields)
        assert answered.status == 200, answered.json

    async def listed(unit: str, question: str = "/cases") -> set[str]:
        return {row["id"] for row in (await api.ask("GET", question, people.clerk(unit))).json["cases"]}

    await told(offered, "offer-claim", people.agent(), units=[claimer, bureau])
    await told(assigned, "assign-case", people.agent(), lead=bureau, co=[helper])
    await told(assigned, "sign-for", people.clerk(bureau))
    await told(assigned, "sub-assign", people.clerk(bureau), unit=section, words="第3项")
    await told(assigned, "sign-for", people.clerk(section))
    await told(assigned, "reply-case", people.clerk(section), words="已更换灯泡", result="solved")

    assert await listed(bureau) == {assigned, offered}
    assert await listed(section) == await listed(helper) == {assigned}
    assert await listed(claimer) == {offered}
    assert await listed(people.unit_of("heating")) == set()
    await told(offered, "claim-case", people.clerk(claimer), unit=claimer)
    assert await listed(bureau) == {assigned}
