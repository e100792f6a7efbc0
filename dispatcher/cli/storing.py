"""What verbs over the store share: opening it, progress by callback, faults in words instead of a traceback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from dispatcher.cli.configured import refuse
from dispatcher.cli.serve import loop_factory
from dispatcher.settings import Settings

if TYPE_CHECKING:
    from dispatcher.wiring import Core


def with_core(
    settings: Settings,
    work: Callable[[Core], Awaitable[int]],
    *,
    writes: bool = False,
    makes: bool = False,
) -> int:
    """Runs ``work`` over the configured store and returns its exit code; 2 when the store cannot be used.

    Args:
        writes: also take commands (beside a running server). Without it the store is read only, but for its schema.
        makes: an embedded database that is not there may be made; one that writes makes it anyhow.
    """
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_opened(settings, work, writes=writes, makes=makes))


async def _opened(
    settings: Settings, work: Callable[[Core], Awaitable[int]], *, writes: bool, makes: bool
) -> int:
    from sqlalchemy.exc import SQLAlchemyError

    from dispatcher.runtime.logs import start_logging
    from dispatcher.store import schema
    from dispatcher.store.database import Database
    from dispatcher.store.errors import StoreError
    from dispatcher.wiring import build_core, writing

    start_logging(settings.logging.level if settings.logging.level != "info" else "warning")
    try:
        file = Database(settings.database.url).path
        if file is not None and not (writes or makes or file.exists()):
            # An empty one made here would be proved, saved or asked as if it were the real one.
            return refuse(
                f"database.url {file}: 没有这个数据库 / no such database; check --config and the folder"
            )
        if writes:
            async with writing(settings) as core:
                return await work(core)
        core = build_core(settings)
        try:
            await schema.check(core.database, core.clock.now())
            return await work(core)
        finally:
            await core.database.close()
    except (StoreError, OSError) as fault:
        return refuse(fault)
    except SQLAlchemyError as fault:
        # Its words may hold the address with the password; the class says enough.
        return refuse(f"数据库不可用 / the database cannot be used: {type(fault).__name__}")
    except ExceptionGroup as faults:
        return refuse("\n".join(leaves(faults)))


def leaves(fault: BaseException) -> Iterator[str]:
    """The words of every fault in a group."""
    if isinstance(fault, BaseExceptionGroup):
        for each in fault.exceptions:
            yield from leaves(each)
    else:
        yield str(fault) or type(fault).__name__
