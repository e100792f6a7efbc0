"""Releases of lists: proposed by one person, approved by another, signed, immutable, in force from an instant.

A proposal and a release are rows of the release table, each under the SHA-256 of its content, which names the files,
the rulebook's own digest, the reason and the signatures. The release that took effect last is in force; none means
that the configured folder is. Going back is a release too: nothing is ever taken away.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from dispatcher.domain.stream import Actor, Role
from dispatcher.store.database import Database
from dispatcher.store.errors import StoreError
from dispatcher.store.releases import Release, Releases, content_digest
from dispatcher.store.vault import Vault, signed_by
from routing_rules.loader import compile_rulebook, dump

PROPOSAL = "list-proposal"
RELEASE = "list-release"
RULEBOOK = "lists"

PROPOSES = frozenset({Role.LINKAGE_ADMIN})
APPROVES = frozenset({Role.LINKAGE_ADMIN, Role.SUPERVISOR})
FURTHEST = timedelta(days=366)
SHORTEST_DIGEST = 6


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """One person's word: ``signature`` is this deployment's (public key ``signer``) over everything else that the
    release says, the person, the instant and the signature before it."""

    who: str
    role: str
    at: datetime
    signer: str
    signature: str


class ListRelease(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept. ``lists`` is the rulebook's digest, the one that cases name; ``replaces`` that of the one in force
    when it was proposed. No files: the configured folder is in force again (``rolls_back`` says so)."""

    lists: str
    files: dict[str, bytes]
    reason: str
    effective_from: datetime | None
    replaces: str
    rolls_back: str = ""
    proposal: str = ""
    signatures: tuple[Signature, ...] = ()


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A release or proposal with its digest and the instant from which it holds."""

    digest: str
    kind: str
    release: ListRelease
    effective_from: datetime
    created: datetime

    @property
    def signers(self) -> tuple[str, ...]:
        return tuple(signature.who for signature in self.release.signatures)


class ReleaseRefused(StoreError):
    """A proposal or approval that must not be; nothing was kept. Says what, and what to do."""

    def __init__(self, field: str, value: str, remedy: str) -> None:
        self.field = field
        self.value = value
        self.remedy = remedy
        super().__init__(f"{field} = {value!r}: {remedy}")


class ListReleases:
    """Reads releases of lists. All instants are aware."""

    def __init__(self, database: Database) -> None:
        self._shelf = Releases(database)

    async def history(self) -> list[Kept]:
        """Every release, in the order in which they take effect."""
        return [_kept(row) for row in await self._shelf.of_kind(RELEASE)]

    async def proposals(self) -> list[Kept]:
        """Proposals that nobody has approved yet, oldest first."""
        done = {kept.release.proposal for kept in await self.history()}
        rows = sorted(await self._shelf.of_kind(PROPOSAL), key=lambda row: row.created)
        return [_kept(row) for row in rows if row.digest not in done]

    async def in_force(self, at: datetime) -> Kept | None:
        """The release in force at an instant; None when the configured folder is, and always was."""
        return next(iter(await self.in_force_down(at)), None)

    async def in_force_down(self, at: datetime) -> list[Kept]:
        """The release in force and those before it, the newest first."""
        return [kept for kept in reversed(await self.history()) if kept.effective_from <= at]

    async def find(self, digest: str) -> Kept | None:
        """The release or open proposal of a digest or of its beginning (at least six characters); None without one."""
        if len(digest) < SHORTEST_DIGEST:
            return None
        known = [*await self.history(), *await self.proposals()]
        found = [kept for kept in known if kept.digest.startswith(digest)]
        found = found or [kept for kept in reversed(known) if kept.release.lists.startswith(digest)][:1]
        return found[0] if len(found) == 1 else None


class ListSigning:
    """Makes releases. ``configured`` is the digest of the rulebook in the configured folder."""

    def __init__(self, database: Database, vault: Vault, *, configured: str) -> None:
        self._shelf = Releases(database)
        self._reads = ListReleases(database)
        self._vault = vault
        self._configured = configured

    async def propose(
        self,
        files: dict[str, bytes],
        *,
        by: Actor,
        reason: str,
        effective_from: datetime | None,
        now: datetime,
    ) -> Kept:
        """Keep a proposal. ``effective_from`` None: from its approval on.

        Raises:
            ReleaseRefused: not the role, no reason, nothing new, an instant that is past or too far.
            ExceptionGroup: the lists have faults.
        """
        role = _may(by, PROPOSES)
        _reasoned(reason)
        if effective_from is not None and not now <= effective_from <= now + FURTHEST:
            remedy = "an instant from now on, at most a year ahead; leave it out for: once approved"
            raise ReleaseRefused("effective_from", effective_from.isoformat(), remedy)
        book = compile_rulebook(files)
        current = await self._current(now)
        if book.digest == current:
            raise ReleaseRefused("lists", book.digest[:12], "these lists are in force already")
        release = ListRelease(
            lists=book.digest,
            files=files,
            reason=reason.strip(),
            effective_from=effective_from,
            replaces=current,
        )
        return await self._keep(
            PROPOSAL, self._signed(release, by, role, now), now, effective_from or now, b""
        )

    async def approve(self, digest: str, *, by: Actor, now: datetime) -> Kept:
        """The second person's word makes the proposal a release.

        Raises:
            ReleaseRefused: not the role, the same person, no such proposal, other lists in force since, a signature
                that is not ours, an instant that has passed.
        """
        role = _may(by, APPROVES)
        open_ = [kept for kept in await self._reads.proposals() if kept.digest.startswith(digest)]
        if len(digest) < SHORTEST_DIGEST or len(open_) != 1:
            remedy = (
                "the digest of an open proposal, at least six characters; see: liandong rules release list"
            )
            raise ReleaseRefused("proposal", digest, remedy)
        proposal = open_[0]
        if by.id in proposal.signers:
            raise ReleaseRefused("approver", by.id, "proposed it; a release needs two different persons")
        if proposal.release.replaces != await self._current(now):
            remedy = "other lists came into force since it was proposed; compare again and propose anew"
            raise ReleaseRefused("proposal", proposal.digest[:12], remedy)
        if faults := signature_faults(proposal.release, self._vault.signer):
            raise ReleaseRefused("signature", proposal.digest[:12], "; ".join(faults))
        wanted = proposal.release.effective_from
        if wanted is not None and wanted < now:
            remedy = "its instant has passed without approval; propose it anew"
            raise ReleaseRefused("effective_from", wanted.isoformat(), remedy)
        book = compile_rulebook(proposal.release.files)
        if book.digest != proposal.release.lists:
            remedy = "this version of Liandong reads the files otherwise; check and propose them anew"
            raise ReleaseRefused("lists", book.digest[:12], remedy)
        release = msgspec.structs.replace(proposal.release, proposal=proposal.digest)
        return await self._keep(RELEASE, self._signed(release, by, role, now), now, wanted or now, dump(book))

    async def roll_back(self, to: str, *, by: Actor, reason: str, now: datetime) -> Kept:
        """Put an earlier release in force again, at once. One person may: two have signed it before.

        Args:
            to: a release's digest; "" for the one before the present one (the configured folder before the first).

        Raises:
            ReleaseRefused: not the role, no reason, no such release, nothing to go back from.
        """
        role = _may(by, APPROVES)
        _reasoned(reason)
        down = await self._reads.in_force_down(now)
        if not down:
            raise ReleaseRefused("release", to, "no release is in force; the configured folder is")
        present = down[0].release
        if to:
            target = await self._reads.find(to)
            if target is None or target.kind != RELEASE:
                remedy = "the digest of a release; see: liandong rules release list"
                raise ReleaseRefused("release", to, remedy)
            earlier, back = target.release, target.digest
        else:
            # Not the row before: going back twice goes two steps back, not to and fro.
            before = next((kept for kept in down if kept.release.lists == present.replaces), None)
            earlier = (
                before.release
                if before is not None
                else ListRelease(
                    lists=self._configured, files={}, reason="", effective_from=None, replaces=""
                )
            )
            back = before.digest if before is not None else "configured"
        if earlier.lists == present.lists:
            raise ReleaseRefused("release", back[:12], "these lists are in force already")
        release = ListRelease(
            lists=earlier.lists,
            files=earlier.files,
            reason=reason.strip(),
            effective_from=now,
            replaces=earlier.replaces,
            rolls_back=back,
        )
        book = compile_rulebook(release.files) if release.files else None
        return await self._keep(
            RELEASE,
            self._signed(release, by, role, now),
            now,
            now,
            dump(book) if book is not None else b"",
        )

    async def _current(self, now: datetime) -> str:
        kept = await self._reads.in_force(now)
        return kept.release.lists if kept is not None else self._configured

    def _signed(self, release: ListRelease, by: Actor, role: Role, now: datetime) -> ListRelease:
        words = _words(release, by.id, role.value, now)
        signer, signature = self._vault.sign(words)
        word = Signature(who=by.id, role=role.value, at=now, signer=signer, signature=signature)
        return msgspec.structs.replace(release, signatures=(*release.signatures, word))

    async def _keep(
        self, kind: str, release: ListRelease, now: datetime, effective_from: datetime, rulebook: bytes
    ) -> Kept:
        content = msgspec.msgpack.encode(release, order="deterministic")
        signers = tuple(signature.who for signature in release.signatures)
        row = Release(
            digest=content_digest(content),
            kind=kind,
            content=content,
            signers=signers,
            effective_from=effective_from,
            created=now,
        )
        if rulebook and not await self._shelf.get([release.lists]):
            await self._shelf.put(
                Release(
                    digest=release.lists,
                    kind=RULEBOOK,
                    content=rulebook,
                    signers=signers,
                    effective_from=effective_from,
                    created=now,
                )
            )
        await self._shelf.put(row)
        return _kept(row)


def signature_faults(release: ListRelease, signer: str) -> list[str]:
    """What is wrong with the signatures of a release: who did not sign this, or not with this deployment's key."""
    faults = []
    for number, word in enumerate(release.signatures):
        # The proposer signed before there was a proposal to name.
        said = msgspec.structs.replace(
            release,
            signatures=release.signatures[:number],
            proposal=release.proposal if number else "",
        )
        if word.signer != signer:
            faults.append(f"{word.who} signed in another deployment")
        elif not signed_by(word.signer, word.signature, _words(said, word.who, word.role, word.at)):
            faults.append(f"the signature of {word.who} is not of this content")
    return faults


def check_signed(kept: Kept, signer: str) -> None:
    """Whether a node may rule by it: signed here, over this content, by two (one suffices to go back to what two signed).

    Raises:
        ReleaseRefused: it may not.
    """
    faults = signature_faults(kept.release, signer)
    if not kept.release.rolls_back and len(set(kept.signers)) < 2:
        faults.append("two different persons have not signed it")
    if not kept.signers:
        faults.append("nobody has signed it")
    if faults:
        raise ReleaseRefused("signature", kept.digest[:12], "; ".join(faults))


def _words(release: ListRelease, who: str, role: str, at: datetime) -> bytes:
    content = msgspec.msgpack.encode(release, order="deterministic")
    return msgspec.json.encode([content_digest(content), who, role, at.isoformat()])


def _may(by: Actor, roles: frozenset[Role]) -> Role:
    role = next((role for role in by.roles if role in roles), None)
    if role is None:
        needed = " or ".join(sorted(role.value for role in roles))
        raise ReleaseRefused("role", " ".join(role.value for role in by.roles), f"needs {needed}")
    return role


def _reasoned(reason: str) -> None:
    if not reason.strip():
        raise ReleaseRefused("reason", reason, "say why; it is kept with the release")


def _kept(row: Release) -> Kept:
    return Kept(
        digest=row.digest,
        kind=row.kind,
        release=msgspec.msgpack.decode(row.content, type=ListRelease),
        effective_from=row.effective_from,
        created=row.created,
    )
