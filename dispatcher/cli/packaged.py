"""Reads the data files that ship inside the package."""

from __future__ import annotations

from importlib import resources


def packaged_files(folder: str) -> dict[str, bytes]:
    """Every `*.toml` of `routing_rules/data/<folder>`, by file name; FileNotFoundError for an unknown folder."""
    place = resources.files("routing_rules").joinpath("data", folder)
    return {file.name: file.read_bytes() for file in place.iterdir() if file.name.endswith(".toml")}
