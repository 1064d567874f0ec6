"""Changes of a store: a page of them, waited for if need be, or as a stream of events.

Who reads a feed holds a place, and asks what came behind it: nothing is kept for a reader, and a
slow one is only late. Events are those of the HTML standard, section 9.2 (server-sent events).
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence

from gateway.api import asked
from gateway.api.access import Access
from gateway.api.contents import Contents
from gateway.api.pool import Pool
from gateway.api.problems import BROKEN, RETRY, as_http
from gateway.api.reading import held
from gateway.api.watch import Mark, Watch
from gateway.core.cloud_records import Held
from gateway.core.hub_metrics import HttpCounts
from gateway.core.hub_tokens import READ
from gateway.http.messages import Answer, HttpProblem, Request, as_json

EVENTS_TYPE = "text/event-stream"
# How soon a reader that lost its connection comes again.
RETRY_MS = 3_000
# A proxy ends what is silent for a minute.
HEARTBEAT_SECONDS = 15.0
# How soon it is seen that a reader went away, or is let in no more.
LOOK_SECONDS = 1.0
# Of one answer of the database, so that a reader is never far ahead of what it was sent.
EVENTS = 100
# Larger content is asked for by itself.
CONTENT_BYTES = 262_144
CUT = b'{"$truncated":true}'


class Readers:
    """Those who wait, each in a thread that others have no use of; counted."""

    def __init__(self, counts: HttpCounts, most: int) -> None:
        self._counts = counts
        self._most = most
        self._lock = threading.Lock()

    def come(self) -> None:
        """One more. Raises ``HttpProblem`` 503 when there are too many."""
        with self._lock:
            if self._counts.readers >= self._most:
                self._counts.readers_refused += 1
                sentence = f"{self._most} readers wait already; try again"
                raise HttpProblem(503, "too-many-readers", sentence, RETRY)
            self._counts.readers += 1

    def go(self) -> None:
        """One less."""
        with self._lock:
            self._counts.readers -= 1


class Stream:
    """Pieces of an answer, and what is done once it is over: also when it never began."""

    def __init__(self, pieces: Generator[bytes, None, None], on_end: Callable[[], None]) -> None:
        self._pieces = pieces
        self._on_end: Callable[[], None] | None = on_end

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Called by the server; idempotent."""
        self._pieces.close()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()


class Feed:
    """The handler. ``readers`` may wait at a time."""

    def __init__(
        self,
        access: Access,
        pool: Pool,
        contents: Contents,
        watch: Watch,
        readers: Readers,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._access = access
        self._pool = pool
        self._contents = contents
        self._watch = watch
        self._readers = readers
        self._heartbeat = heartbeat_seconds

    def changes(self, request: Request) -> Answer:
        """Changes behind a place."""
        space = request.parts["store"]
        self._access.admit(request, READ, space)
        with_content = asked.is_true(request, "content")
        if EVENTS_TYPE in request.header("Accept"):
            return self._stream(request, space, with_content)
        if with_content:
            raise HttpProblem(400, "usage", f"content=true goes with Accept: {EVENTS_TYPE}")
        return self._page(request, space)

    def _page(self, request: Request, space: str) -> Answer:
        wait = asked.whole(request, "wait", 0, 0, asked.MAX_WAIT_SECONDS)
        limit = asked.limit(request)
        mark = self._watch.mark(space)
        rows, place = self._read(space, asked.after(request), limit)
        if wait and not rows:
            until = time.monotonic() + wait
            self._readers.come()
            try:
                while not rows and self._waited(request, space, mark, until):
                    mark = self._watch.mark(space)
                    rows, place = self._read(space, place, limit)
            finally:
                self._readers.go()
        return Answer(as_json({"changes": [held(row) for row in rows], "next": place}))

    def _stream(self, request: Request, space: str, with_content: bool) -> Answer:
        after = request.header("Last-Event-ID") or asked.after(request)
        mark = self._watch.mark(space)
        # A place that is none is told before the stream begins.
        first = self._read(space, after, EVENTS)
        self._readers.come()
        pieces = self._events(request, space, mark, first, with_content)
        return Answer(
            Stream(pieces, self._readers.go), type=EVENTS_TYPE, headers={"X-Accel-Buffering": "no"}
        )

    def _events(
        self,
        request: Request,
        space: str,
        mark: Mark,
        page: tuple[Sequence[Held], str],
        with_content: bool,
    ) -> Generator[bytes, None, None]:
        yield b"retry: %d\n\n" % RETRY_MS
        told = ""
        try:
            while True:
                rows, place = page
                for row in rows:
                    # Only the last one has the place: who is cut before it gets them again.
                    id_ = place if row is rows[-1] else ""
                    yield _event("change", self._told(row, with_content), id_)
                if not rows and place != told:
                    yield b"id: %b\n\n" % place.encode()
                told = place
                until = time.monotonic() + self._heartbeat
                while len(rows) < EVENTS and not self._waited(request, space, mark, until):
                    if self._watch.is_closed or request.gone():
                        return
                    yield b": still here\n\n"
                    until = time.monotonic() + self._heartbeat
                mark = self._watch.mark(space)
                self._access.admit(request, READ, space)
                page = self._read(space, place, EVENTS)
        except HttpProblem as error:
            yield _event("problem", as_json({"code": error.code, "error": error.sentence}))

    def _waited(self, request: Request, space: str, mark: Mark, until: float) -> bool:
        """Whether there may be something new; False when it is time, or nobody waits any more."""
        while not self._watch.is_closed and not request.gone():
            left = until - time.monotonic()
            if self._watch.wait(space, mark, max(0.0, min(left, LOOK_SECONDS))):
                return True
            if left <= 0:
                return False
            self._access.admit(request, READ, space)
        return False

    def _read(self, space: str, after: str, most: int) -> tuple[Sequence[Held], str]:
        with as_http(), self._pool.store() as store:
            return store.changed(space, after, most)

    def _told(self, row: Held, with_content: bool) -> bytes:
        facts = as_json(held(row))
        if not with_content:
            return facts
        try:
            with as_http(), self._pool.store() as store:
                content = self._contents.read(store, row.space, row.document)
        except HttpProblem as error:
            if error.code != BROKEN:
                raise
            content = None
        whole = content.whole if content else b"null"
        return b'%b,"content":%b}' % (facts[:-1], whole if len(whole) <= CONTENT_BYTES else CUT)


def _event(name: str, data: bytes, id_: str = "") -> bytes:
    """JSON of one line holds no line break, nor does a place."""
    head = b"id: %b\n" % id_.encode() if id_ else b""
    return b"%bevent: %b\ndata: %b\n\n" % (head, name.encode(), data)
