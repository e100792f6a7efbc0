"""Files that only their owner may read, whatever the umask: the embedded database, its log, anchors, journal."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

OWNER_ONLY = 0o600


def make_private(path: Path) -> None:
    """Make the file of an embedded database, empty; one that is there, and its log, is closed to others.

    A file that is there is never opened here: closing it would drop SQLite's locks in this process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY)
    except FileExistsError:
        for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            with contextlib.suppress(FileNotFoundError, PermissionError):  # a file of somebody else stays his
                if name.stat().st_mode & 0o077:
                    name.chmod(OWNER_ONLY)
        return
    os.fchmod(handle, OWNER_ONLY)
    os.close(handle)


def append_private(path: Path, raw: bytes) -> None:
    """Append to a file that only its owner may read, durably."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
    with os.fdopen(handle, "ab") as file:
        os.fchmod(handle, OWNER_ONLY)
        file.write(raw)
        file.flush()
        os.fsync(handle)
