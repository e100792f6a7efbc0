"""Lists are released by two persons: proposed, approved, signed, followed by nodes, gone back from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dispatcher.domain.stream import Actor, Role
from dispatcher.store.database import Database
from dispatcher.store.list_releases import (
    Kept,
    ListReleases,
    ListSigning,
    ReleaseRefused,
    signature_faults,
)
from dispatcher.store.vault import Vault
from routing_rules.loader import compile_rulebook, restore
from tests.rules.test_loader import LAST

NOW = datetime(2026, 3, 10, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OWNER = Actor(id="li", roles=(Role.LINKAGE_ADMIN,), division="630000")
SECOND = Actor(id="wang", roles=(Role.SUPERVISOR,), division="630000")
AGENT = Actor(id="zhang", roles=(Role.AGENT_12345,), platform="12345-630100", division="630100")


def lists(title: str) -> dict[str, bytes]:
    return {"lists/a.toml": LAST.replace("其他", title).encode()}


CONFIGURED = compile_rulebook(lists("配置的")).digest


@pytest.fixture
def signing(database: Database, vault: Vault) -> ListSigning:
    return ListSigning(database, vault, configured=CONFIGURED)


async def released(signing: ListSigning, title: str, at: datetime, begin: datetime | None = None) -> Kept:
    proposal = await signing.propose(
        lists(title), by=OWNER, reason=f"改成{title}", effective_from=begin, now=at
    )
    return await signing.approve(proposal.digest, by=SECOND, now=at)


async def test_a_release_needs_two_different_persons(signing: ListSigning, database: Database) -> None:
    reads = ListReleases(database)
    proposal = await signing.propose(lists("新"), by=OWNER, reason="增补", effective_from=None, now=NOW)

    with pytest.raises(ReleaseRefused, match="two different persons"):
        await signing.approve(proposal.digest, by=OWNER, now=NOW)
    assert await reads.in_force(NOW) is None

    release = await signing.approve(proposal.digest[:12], by=SECOND, now=NOW + MINUTE)

    assert release.signers == ("li", "wang")
    assert await reads.in_force(NOW + MINUTE) == release
    assert await reads.proposals() == []


@pytest.mark.parametrize("who", [AGENT, Actor(id="x", roles=(Role.SYSTEM_ADMIN,), division="630000")])
async def test_who_has_not_the_role_neither_proposes_nor_approves(signing: ListSigning, who: Actor) -> None:
    with pytest.raises(ReleaseRefused, match="role"):
        await signing.propose(lists("新"), by=who, reason="增补", effective_from=None, now=NOW)
    proposal = await signing.propose(lists("新"), by=OWNER, reason="增补", effective_from=None, now=NOW)
    with pytest.raises(ReleaseRefused, match="role"):
        await signing.approve(proposal.digest, by=who, now=NOW)


async def test_faulty_lists_no_reason_nothing_new_and_past_instants_are_refused_and_nothing_is_kept(
    signing: ListSigning, database: Database
) -> None:
    with pytest.raises(ExceptionGroup):
        await signing.propose({"a.toml": b"x ="}, by=OWNER, reason="r", effective_from=None, now=NOW)
    with pytest.raises(ReleaseRefused, match="reason"):
        await signing.propose(lists("新"), by=OWNER, reason=" ", effective_from=None, now=NOW)
    with pytest.raises(ReleaseRefused, match="in force already"):
        await signing.propose(lists("配置的"), by=OWNER, reason="r", effective_from=None, now=NOW)
    for begin in (NOW - MINUTE, NOW + timedelta(days=400)):
        with pytest.raises(ReleaseRefused, match="effective_from"):
            await signing.propose(lists("新"), by=OWNER, reason="r", effective_from=begin, now=NOW)

    assert await ListReleases(database).proposals() == []


async def test_a_release_comes_into_force_at_its_instant(signing: ListSigning, database: Database) -> None:
    first = await released(signing, "一", NOW)
    later = await released(signing, "二", NOW + MINUTE, NOW + timedelta(hours=1))
    reads = ListReleases(database)

    assert await reads.in_force(NOW - MINUTE) is None
    assert await reads.in_force(NOW + timedelta(minutes=59)) == first
    assert await reads.in_force(NOW + timedelta(hours=1)) == later


async def test_a_proposal_made_before_another_release_is_stale(signing: ListSigning) -> None:
    waiting = await signing.propose(lists("慢"), by=OWNER, reason="r", effective_from=None, now=NOW)
    await released(signing, "快", NOW)

    with pytest.raises(ReleaseRefused, match="propose anew"):
        await signing.approve(waiting.digest, by=SECOND, now=NOW + MINUTE)


async def test_an_instant_that_passes_before_approval_is_refused(signing: ListSigning) -> None:
    proposal = await signing.propose(lists("新"), by=OWNER, reason="r", effective_from=NOW + MINUTE, now=NOW)

    with pytest.raises(ReleaseRefused, match="has passed"):
        await signing.approve(proposal.digest, by=SECOND, now=NOW + 2 * MINUTE)


async def test_the_rulebook_that_cases_name_is_kept_with_its_signers(
    signing: ListSigning, database: Database
) -> None:
    from dispatcher.store.releases import Releases

    release = await released(signing, "新", NOW)
    (kept,) = await Releases(database).get([release.release.lists])

    assert kept.signers == ("li", "wang")
    assert restore(kept.content).digest == release.release.lists


async def test_signatures_are_of_this_content_and_of_this_deployment(
    signing: ListSigning, vault: Vault
) -> None:
    release = (await released(signing, "新", NOW)).release

    assert signature_faults(release, vault.signer) == []
    assert len(signature_faults(msgspec.structs.replace(release, reason="别的"), vault.signer)) == 2
    assert len(signature_faults(release, Vault(bytes(32)).signer)) == 2
    turned = msgspec.structs.replace(release, signatures=release.signatures[::-1])
    assert signature_faults(turned, vault.signer)


async def test_going_back_twice_goes_two_steps_back(signing: ListSigning, database: Database) -> None:
    first = await released(signing, "一", NOW)
    await released(signing, "二", NOW + MINUTE)
    reads = ListReleases(database)

    back = await signing.roll_back("", by=SECOND, reason="有误", now=NOW + 2 * MINUTE)
    assert (back.release.lists, back.release.rolls_back) == (first.release.lists, first.digest)
    assert await reads.in_force(NOW + 2 * MINUTE) == back

    again = await signing.roll_back("", by=SECOND, reason="还有误", now=NOW + 3 * MINUTE)
    assert (again.release.lists, again.release.files) == (CONFIGURED, {})

    with pytest.raises(ReleaseRefused, match="in force already"):
        await signing.roll_back("", by=SECOND, reason="再退", now=NOW + 4 * MINUTE)


async def test_a_named_release_is_put_in_force_again_by_one_person(signing: ListSigning) -> None:
    first = await released(signing, "一", NOW)
    await released(signing, "二", NOW + MINUTE)
    await released(signing, "三", NOW + 2 * MINUTE)

    back = await signing.roll_back(first.digest[:10], by=OWNER, reason="有误", now=NOW + 3 * MINUTE)

    assert back.release.files == first.release.files
    with pytest.raises(ReleaseRefused, match="release list"):
        await signing.roll_back("abcdef012345", by=OWNER, reason="有误", now=NOW + 4 * MINUTE)
