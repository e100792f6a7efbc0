"""Trained recommenders: each an immutable release, and a line of releases that say which one is in force, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from dispatcher.store.errors import StoreError, Unreadable
from dispatcher.store.releases import Release, Releases, content_digest

MODEL: Final = "model"
STANDING: Final = "model-standing"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Which model is in force since when. ``model`` empty: none. ``below`` is what a rollback goes back to."""

    model: str
    below: tuple[str, ...]
    by: str
    reason: str
    at: datetime
    action: str  # "promote" or "rollback"


class NoSuchModel(StoreError):
    """No model is kept under this digest, or several begin with it."""


class NothingBelow(StoreError):
    """No model is in force, so none can be taken back."""


class Models:
    """Keeps models and their standing. Nothing is ever changed or removed."""

    def __init__(self, releases: Releases) -> None:
        self._releases = releases

    async def keep(self, content: bytes, by: str, now: datetime) -> str:
        """Keep a model as a challenger; returns its digest (SHA-256 of its bytes)."""
        digest = content_digest(content)
        await self._releases.put(
            Release(
                digest=digest, kind=MODEL, content=content, signers=(by,), effective_from=now, created=now
            )
        )
        return digest

    async def all(self) -> list[Release]:
        """Every model kept, the oldest first."""
        return await self._releases.of_kind(MODEL)

    async def find(self, beginning: str) -> Release:
        """The model whose digest begins so; an empty one means the newest.

        Raises:
            NoSuchModel: none or several do.
        """
        kept = await self.all()
        found = [one for one in kept if one.digest.startswith(beginning)] if beginning else kept[-1:]
        if len(found) != 1:
            raise NoSuchModel(
                f"model {beginning!r}: "
                + (
                    "several begin so, write more of it"
                    if found
                    else "none is kept; see `liandong model list`"
                )
            )
        return found[0]

    async def history(self) -> list[Standing]:
        """Every promotion and rollback, the oldest first.

        Raises:
            Unreadable: a stored row was changed from outside.
        """
        try:
            return [
                msgspec.json.decode(row.content, type=Standing)
                for row in await self._releases.of_kind(STANDING)
            ]
        except msgspec.MsgspecError as err:
            raise Unreadable("a standing of models cannot be read") from err

    async def standing(self) -> Standing | None:
        """How it stands now; None: no model was ever promoted."""
        past = await self.history()
        return past[-1] if past else None

    async def champion(self) -> Release | None:
        """The model in force."""
        now = await self.standing()
        return await self.find(now.model) if now is not None and now.model else None

    async def promote(self, digest: str, by: str, reason: str, now: datetime) -> Standing:
        """Put a kept model in force. Whether it may be is the caller's to decide."""
        before = await self.standing()
        below = (before.model, *before.below) if before is not None and before.model else ()
        made = Standing(model=digest, below=below, by=by, reason=reason, at=now, action="promote")
        return await self._stand(made)

    async def rollback(self, by: str, reason: str, now: datetime) -> Standing:
        """Take back the last promotion that still stands.

        Raises:
            NothingBelow: no model is in force.
        """
        before = await self.standing()
        if before is None or not before.model:
            raise NothingBelow("no model is in force")
        model, below = (before.below[0], before.below[1:]) if before.below else ("", ())
        made = Standing(model=model, below=below, by=by, reason=reason, at=now, action="rollback")
        return await self._stand(made)

    async def _stand(self, made: Standing) -> Standing:
        content = msgspec.json.encode(made)
        await self._releases.put(
            Release(
                digest=content_digest(content),
                kind=STANDING,
                content=content,
                signers=(made.by,),
                effective_from=made.at,
                created=made.at,
            )
        )
        return made
