"""Reads data files: those that ship inside the package, or the deployment's own folder in their place."""

from __future__ import annotations

from pathlib import Path

import routing_rules

_DATA = Path(routing_rules.__path__[0]) / "data"  # importlib.resources would cost a tenth of a small command


def packaged_files(folder: str, suffix: str = ".toml") -> dict[str, bytes]:
    """Every file of this kind in `routing_rules/data/<folder>`, by name; FileNotFoundError for an unknown folder."""
    return {
        path.name: path.read_bytes() for path in sorted((_DATA / folder).iterdir()) if path.suffix == suffix
    }


def files_of(folder: str, instead: Path | None) -> dict[str, bytes]:
    """The TOML files of one folder of data, by name: those of ``instead`` where it is set, else the packaged ones.

    Raises:
        OSError: the folder cannot be read.
    """
    if instead is None:
        return packaged_files(folder)
    return {path.name: path.read_bytes() for path in sorted(instead.iterdir()) if path.suffix == ".toml"}
