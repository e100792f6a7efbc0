"""What the process counts about itself, in one Prometheus registry of its own; never personal data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_LATE = (0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 86400.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Telemetry:
    """The figures of one process. Each method says what was seen; `page` renders all for /metrics."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._commands = Counter(
            "liandong_commands", "Commands by kind and outcome", ("kind", "outcome"), registry=registry
        )
        self._batch_size = Histogram(
            "liandong_commit_batch_size", "Commands sharing one commit", buckets=_SIZES, registry=registry
        )
        self._batch_seconds = Histogram(
            "liandong_commit_seconds", "Time of one shared commit", buckets=_FAST, registry=registry
        )
        self._fired = Counter("liandong_deadlines_fired", "Deadlines settled", registry=registry)
        self._quarantined = Counter(
            "liandong_deadlines_quarantined",
            "Deadlines whose settlement failed; a person must look",
            registry=registry,
        )
        self._lateness = Histogram(
            "liandong_deadline_lateness_seconds",
            "How late the latest deadline of a settlement was",
            buckets=_LATE,
            registry=registry,
        )
        self._open = Gauge("liandong_deadlines_open", "Deadlines armed", registry=registry)
        self._sent = Counter(
            "liandong_outbox_attempts", "Attempts to deliver, by effect and outcome", ("effect", "outcome"),
            registry=registry,
        )  # fmt: skip
        self._depth = Gauge("liandong_outbox_depth", "Effects by state", ("state",), registry=registry)
        self._age = Gauge(
            "liandong_outbox_age_seconds", "Age of the oldest effect that waits", registry=registry
        )
        self._paused = Gauge("liandong_relay_paused", "1 while nothing is sent out", registry=registry)
        self._rulings = Counter(
            "liandong_rulings", "Rulings by list item and platform", ("item", "platform"), registry=registry
        )
        self._http = Histogram(
            "liandong_http_seconds",
            "HTTP answers",
            ("method", "route", "status"),
            buckets=_FAST,
            registry=registry,
        )
        self._position = Gauge("liandong_event_position", "Position of the last event", registry=registry)
        self._lists = Gauge(
            "liandong_lists_current", "0 when the last reload of the lists failed", registry=registry
        )
        self._failures = Counter(
            "liandong_loop_failures", "Rounds of a runtime loop that failed", ("loop",), registry=registry
        )
        self._audit = {
            name: Gauge(f"liandong_audit_{name}", words, registry=registry)
            for name, words in (
                (
                    "expected",
                    "Milestones that should have fired by now, by the auditor's own reading of the log",
                ),
                ("fired", "Milestones that did, by the log"),
                ("missing", "Deadlines that are gone, altered, overdue or in quarantine"),
                ("repaired", "Deadline rows put back"),
                ("late_max_seconds", "How late the latest deadline of today was or is"),
                ("clean", "1 while the auditor has looked at everything and nothing is wrong"),
            )
        }
        self._lists.set(1)

    def command(self, kind: str, outcome: str) -> None:
        """A command was answered: accepted, repeated, refused or failed."""
        self._commands.labels(kind, outcome).inc()

    def commit(self, size: int, took: timedelta) -> None:
        """A batch was committed."""
        self._batch_size.observe(size)
        self._batch_seconds.observe(took.total_seconds())

    def settled(self, fired: int, failed: int, late_max: timedelta) -> None:
        """The sweep settled deadlines."""
        self._fired.inc(fired)
        self._quarantined.inc(failed)
        if fired:
            self._lateness.observe(max(late_max.total_seconds(), 0.0))

    def attempt(self, effect: str, outcome: str) -> None:
        """An effect was tried: sent, later, held or dead."""
        self._sent.labels(effect, outcome).inc()

    def ruling(self, item: str, platform: str) -> None:
        """A call or message was ruled."""
        self._rulings.labels(item, platform).inc()

    def http(self, method: str, route: str, status: int, took: timedelta) -> None:
        """An HTTP request was answered. ``route`` is the pattern, never the path."""
        self._http.labels(method, route, str(status)).observe(took.total_seconds())

    def backlog(self, *, armed: int, outbox: dict[str, int], oldest: timedelta, paused: bool) -> None:
        """What waits in the database."""
        self._open.set(armed)
        for state in ("ready", "dead"):
            self._depth.labels(state).set(outbox.get(state, 0))
        self._age.set(oldest.total_seconds())
        self._paused.set(paused)

    def position(self, value: int) -> None:
        """The log grew to this position."""
        self._position.set(value)

    def reloaded(self, *, taken: bool) -> None:
        """The lists were read again; a refused reload leaves the old ones in force."""
        self._lists.set(taken)

    def audited(
        self,
        *,
        expected: int,
        fired: int,
        missing: int,
        repaired: int,
        late_max: timedelta,
        clean: bool,
    ) -> None:
        """What the auditor's last round found, on this node or on the one that leads."""
        found = (expected, fired, missing, repaired, late_max.total_seconds(), clean)
        for gauge, value in zip(self._audit.values(), found, strict=True):
            gauge.set(value)

    def failure(self, loop: str) -> None:
        """A round of a runtime loop failed and will be tried again."""
        self._failures.labels(loop).inc()

    def watch(self, name: str, words: str, read: Callable[[], float]) -> None:
        """Adds a gauge that is read when /metrics is."""
        Gauge(name, words, registry=self.registry).set_function(read)

    def page(self) -> bytes:
        """The Prometheus text page."""
        return generate_latest(self.registry)
