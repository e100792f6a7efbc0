"""The HTTP root: health, readiness and metrics, and the sub-applications of adapters and dashboards under it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from dispatcher.runtime.telemetry import Telemetry
from dispatcher.settings import Telemetry as TelemetrySettings

_JSON = "application/json"

Mount = tuple[str, web.Application]
"""A path prefix such as "/api" and what answers under it."""


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether this node should get work, and why not. Offsets in seconds, ahead of this machine's clock.

    ``alarms`` are the auditor's: a person must act, but taking the node out of service would not help.
    """

    ready: bool
    stage: str
    reasons: tuple[str, ...]
    clock_steady: bool
    clock_offset_s: float
    database: str
    relay: str
    position: int
    audit: str
    alarms: tuple[str, ...]


def build_root(
    routes: Sequence[web.AbstractRouteDef],
    mounts: Sequence[Mount],
    *,
    readiness: Callable[[], Awaitable[Readiness]],
    telemetry: Telemetry,
    metrics_for: TelemetrySettings,
    body_limit: int,
) -> web.Application:
    """One application for everything.

    Args:
        routes: what answers at the root itself ("/").
        mounts: sub-applications, each under its prefix; the longer prefix is asked first.
        readiness: asked by each /readyz.
        metrics_for: who may read /metrics.
        body_limit: largest request body in bytes.
    """
    root = web.Application(client_max_size=body_limit, middlewares=[_measured(telemetry)])
    root.add_routes(health_routes(readiness, telemetry, metrics_for))
    root.add_routes(routes)
    for prefix, app in sorted(mounts, key=lambda mount: -len(mount[0])):
        root.add_subapp(prefix, app)
    return root


def health_routes(
    readiness: Callable[[], Awaitable[Readiness]],
    telemetry: Telemetry,
    metrics_for: TelemetrySettings,
) -> list[web.RouteDef]:
    """/healthz (the process lives), /readyz (it should get work), /metrics (Prometheus text, named networks only)."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(body=b'{"alive":true}', content_type=_JSON)

    async def readyz(_: web.Request) -> web.Response:
        found = await readiness()
        return web.Response(
            body=msgspec.json.encode(found), content_type=_JSON, status=200 if found.ready else 503
        )

    async def metrics(request: web.Request) -> web.Response:
        # What a proxy on this machine forwards comes from elsewhere, whatever its address says.
        forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
        if forwarded or not metrics_for.admits(request.remote or None):
            raise web.HTTPForbidden(
                text="/metrics 只对 telemetry.allow 中的网段开放 / only for the networks of telemetry.allow"
            )
        return web.Response(
            body=telemetry.page(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    return [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]


def _measured(telemetry: Telemetry) -> Middleware:
    """Counts each answer by method, route pattern and status. Live streams are counted, their length is not."""

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        status = 500
        streamed = False
        try:
            response = await handler(request)
            status = response.status
            streamed = response.content_type == "text/event-stream"
            return response
        except web.HTTPException as answer:
            status = answer.status
            raise
        finally:
            resource = request.match_info.route.resource
            route = resource.canonical if resource is not None else "(none)"
            took = timedelta() if streamed else timedelta(seconds=time.perf_counter() - began)
            telemetry.http(request.method, route, status, took)

    return measure
