"""Every endpoint against generated requests (schemathesis): no server error, nothing undocumented, bad data refused."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from dispatcher.domain.stream import Actor, Role
from tests.api import people
from tests.api.conftest import Api

EXAMPLES = int(os.environ.get("LIANDONG_FUZZ_EXAMPLES", "3"))
"""Requests for each endpoint; a soak asks for more."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]

EVERYBODY = Actor(
    id="everybody",
    roles=tuple(role for role in Role if role is not Role.SYSTEM),
    platform=people.HOTLINE,
    division="630100",
)


@pytest.mark.parametrize("engine_name", ["sqlite"])
async def test_no_generated_request_finds_a_fault(api: Api) -> None:
    headers = {"Authorization": f"Bearer {await api.token(EVERYBODY)}"}
    case = (await api.ask("POST", "/calls", people.agent(), json={"words": "路灯不亮"})).json["case"]
    document = (await api.ask("GET", "/api/openapi.json")).json

    # The generator and its client block, so they run beside the loop that answers them.
    asked, faults = await asyncio.to_thread(_fuzz, document, api.base, headers, case)

    assert faults == []
    assert asked >= len(document["paths"]) * min(EXAMPLES, 2)


def _fuzz(document: dict[str, Any], base: str, headers: dict[str, str], case: str) -> tuple[int, list[str]]:
    faults: list[str] = []
    asked = 0
    with requests.Session() as session:

        def probe(label: str, made: Any) -> None:
            nonlocal asked
            asked += 1
            if "case" in made.path_parameters and asked % 4:
                made.path_parameters["case"] = case  # most of them about a case that exists
            try:
                made.call_and_validate(base_url=base, session=session, headers=headers, checks=CHECKS)
            except (AssertionError, BaseExceptionGroup) as fault:
                told = fault.exceptions if isinstance(fault, BaseExceptionGroup) else (fault,)
                faults.extend(f"{label}: {each}"[:1500] for each in told)

        for result in schemathesis.openapi.from_dict(document).get_all_operations():
            operation: Any = result.ok()  # type: ignore[union-attr]  # an invalid schema raises here, as it should
            for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
                _run(operation.as_strategy(generation_mode=mode), partial(probe, operation.label))
    return asked, faults


def _run(strategy: Any, probe: Callable[[Any], None]) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(made: Any) -> None:
        probe(made)

    each()
