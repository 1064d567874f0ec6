"""All routes of the hub's API, and what they have in common."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.api.access import Access
from gateway.api.contents import Contents
from gateway.api.feed import HEARTBEAT_SECONDS, Feed, Readers
from gateway.api.pool import Pool
from gateway.api.reading import Reading
from gateway.api.watch import Watch
from gateway.api.writing import BODY_BYTES, Edit, Writing
from gateway.core.errors import GatewayError
from gateway.core.hub_metrics import HttpCounts, hub_metrics
from gateway.core.hub_tokens import READ
from gateway.core.metrics import CONTENT_TYPE, Metric, Process, exposition
from gateway.http.app import App, file
from gateway.http.messages import Answer, HttpProblem, Request, Route, as_json

HERE = Path(__file__).parent
STORE = "/api/v1/stores/<store>"
DOCUMENT = f"{STORE}/documents/<collection>/<path:id>"
# Whoever asks whether it is ready, it is not found out more often.
READY_SECONDS = 1.0
# A store that need not be there.
_SOME = "0" * 32
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # It is for who asks: it may be kept, and is asked for again each time.
    "Cache-Control": "private, no-cache",
    "Vary": "Authorization, Accept",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the API is told of the hub around it.

    ``broker()``: why the broker is not connected, a code; or "". ``more()``: the worker's metrics.
    """

    version: str
    broker: Callable[[], str]
    process: Callable[[], Process]
    more: Callable[[], Sequence[Metric]] = tuple


class Site:
    """The API as a WSGI app, ``wsgi``; ``readers`` may wait for changes at a time.

    ``counts``: what it did so far.
    """

    def __init__(
        self,
        pool: Pool,
        watch: Watch,
        access: Access,
        edit: Edit,
        around: Surroundings,
        readers: int,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._pool = pool
        self._access = access
        self._around = around
        self.counts = HttpCounts()
        self._readiness: tuple[float, str] = (-READY_SECONDS, "")
        contents = Contents()
        reading = Reading(access, pool, contents)
        slots = Readers(self.counts, readers)
        feed = Feed(access, pool, contents, watch, slots, heartbeat_seconds)
        writing = Writing(access, pool, edit, self.counts)
        self.routes = (
            Route("GET", "/", lambda _: file(HERE, "index.html")),
            Route("GET", "/openapi.json", lambda _: file(HERE, "openapi.json")),
            Route("GET", "/healthz", lambda _: Answer(as_json({"ok": True}))),
            Route("GET", "/readyz", self._ready),
            Route("GET", "/metrics", self._metrics),
            Route("GET", "/api/v1/stores", reading.stores),
            Route("GET", STORE, reading.store),
            Route("GET", f"{STORE}/documents", reading.documents),
            Route("GET", DOCUMENT, reading.document),
            Route("PUT", DOCUMENT, writing.put),
            Route("PATCH", DOCUMENT, writing.patch),
            Route("GET", f"{STORE}/changes", feed.changes),
        )
        app = App(
            self.routes, _check, lambda _: _HEADERS, body_bytes=BODY_BYTES, counted=self._count
        )
        self.wsgi = app.wsgi

    def _ready(self, _: Request) -> Answer:
        """Whether database and broker can be used; the codes say what is wrong."""
        database, broker = self._database(), self._around.broker()
        facts = {"ok": not (database or broker), "database": database, "broker": broker}
        return Answer(as_json(facts), 200 if facts["ok"] else 503)

    def _database(self) -> str:
        known, code = self._readiness
        now = time.monotonic()
        if now - known >= READY_SECONDS:
            code = ""
            try:
                with self._pool.store() as store:
                    store.version(_SOME, "ready/ready")
            except GatewayError as error:
                code = error.code
            self._readiness = now, code
        return code

    def _metrics(self, request: Request) -> Answer:
        self._access.admit(request, READ)
        totals: Mapping[str, int] | None = None
        try:
            with self._pool.store() as store:
                totals = store.totals()
        except GatewayError:
            pass
        metrics = hub_metrics(
            self._around.version,
            totals,
            self.counts,
            self._around.process(),
            broker=not self._around.broker(),
        )
        text = exposition([*metrics, *self._around.more()])
        return Answer(text.encode(), type=CONTENT_TYPE)

    def _count(self, _: str, status: int) -> None:
        kind = f"{status // 100}xx"
        self.counts.answers[kind] = self.counts.answers.get(kind, 0) + 1


def _check(request: Request) -> None:
    """A page somewhere else has no business here, whatever token its user has; a link may lead
    here."""
    is_link = request.header("Sec-Fetch-Mode") == "navigate"
    if not is_link and request.header("Sec-Fetch-Site") not in ("", "none", "same-origin"):
        raise HttpProblem(403, "cross-site", "pages of other sites are not answered")
