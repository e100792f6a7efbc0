"""Writes docs/cli/*.schema.json, the published shapes of --json answers. Run: python -m tests.support.schemas"""

from __future__ import annotations

from pathlib import Path

import msgspec

from dispatcher.cli import (
    audit,
    calendar,
    classify,
    explain,
    import_cases,
    policy,
    retention,
    simulate,
    tally,
)
from dispatcher.cli.rules import check, release, replay
from routing_rules import compare
from routing_rules import explain as lists_explain

FOLDER = Path(__file__).parents[2] / "docs" / "cli"
SHAPES: dict[str, type[msgspec.Struct]] = {
    "audit": audit.Audited,
    "calendar-diff": calendar.Diff,
    "calendar-load": calendar.Loaded,
    "calendar-meetings": calendar.Meetings,
    "calendar-show": calendar.Shown,
    "policy-apply": policy.Applied,
    "policy-diff": policy.Diff,
    "policy-show": policy.Shown,
    "classify": classify.Answer,
    "explain": explain.Explained,
    "import": import_cases.Report,
    "replay": tally.Report,
    "retention": retention.Report,
    "simulate": simulate.Report,
    "rules-check": check.Report,
    "rules-diff": compare.Comparison,
    "rules-explain": lists_explain.Explanation,
    "rules-release": release.Listed,
    "rules-replay": replay.Report,
}


def schema_of(shape: type[msgspec.Struct]) -> bytes:
    """The JSON Schema of one answer, the same on every run."""
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(shape)}
    return msgspec.json.format(msgspec.json.encode(made, order="deterministic")) + b"\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, shape in SHAPES.items():
        (FOLDER / f"{name}.schema.json").write_bytes(schema_of(shape))
