"""Shows documents to the cloud as JSON, while there is a connection.

Which and when is decided in ``core.projections``; this reads, makes the JSON, and publishes.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from gateway.core.bridge import Publication
from gateway.core.bridge_topics import Topics
from gateway.core.document import DocumentBroken
from gateway.core.errors import GatewayError
from gateway.core.projection import TRUNCATED, project
from gateway.core.projections import Mark, Projections, digest_of, read_mark
from gateway.core.structs import read_update
from gateway.ports import BrokerLink, Clock
from gateway.runtime.local import Local
from gateway.runtime.threads import Helper

# Documents that are on their way at once.
WORKERS = 8
# The mark is written this often while documents are sent, and after so many of them: a line that
# breaks sooner than that, again and again, gets on all the same.
MARK_SECONDS = 10.0
MARK_PUBLICATIONS = 16
# How often it is looked whether something is due.
LOOK_SECONDS = 0.25
# The JSON of a document above this is made beside the loop.
LARGE_BYTES = 32_768
# From one document to the next: so many are sent at most, however many wait, that devices do not
# notice it. After one that took long to make nothing is made for so many times as long.
PACE_SECONDS = 0.005
REST = 4.0
# Of a collection that is looked through so many names are told at once.
NAMES_AT_ONCE = 500
# What the broker refuses for this document alone; anything else ends the connection.
REFUSED = frozenset({"broker-topic-denied", "broker-quota", "broker-refused", "broker-limits"})

log = logging.getLogger("gateway.cloud")


class Projector:
    """``names(collection)`` gives the documents that are stored.

    ``refused(what, error)`` is told what the broker does not take, and by None that it does.
    """

    def __init__(
        self,
        projections: Projections,
        local: Local,
        helper: Helper,
        names: Callable[[str], Awaitable[Sequence[str]]],
        refused: Callable[[str, GatewayError | None], None],
        clock: Clock,
    ) -> None:
        self.projections = projections
        self._local = local
        self._helper = helper
        self._names = names
        self._refused = refused
        self._now = clock.monotonic
        self._news = asyncio.Event()
        self._sent = asyncio.Event()
        # Enough was sent since the mark for a new one.
        self._many = asyncio.Event()
        self._marked = 0
        # One at a time makes JSON.
        self._making = asyncio.Lock()
        self.published = 0

    def stored(self, documents: Collection[str]) -> None:
        """Changes of these are on the disk. Does not wait."""
        if self.projections.changed(documents, self._now()):
            self._news.set()

    async def serve(self, link: BrokerLink, topics: Topics) -> None:
        """Send what is not there, and what changes, until the connection is lost.

        Raises ``GatewayError``.
        """
        self.projections.connected(await self._mark(link, topics))
        async with asyncio.TaskGroup() as tasks:
            for collection in self.projections.collections:
                tasks.create_task(self._look_through(collection))
            tasks.create_task(self._keep_marking(link, topics))
            for _ in range(WORKERS):
                tasks.create_task(self._work(link, topics))

    async def _mark(self, link: BrokerLink, topics: Topics) -> Mark | None:
        """What the broker kept; None: nothing, or what is no mark."""
        try:
            return read_mark(await link.retained(topics.projected))
        except GatewayError as error:
            if error.code not in (*REFUSED, "broker-silent"):
                raise
            log.info("it is not known what the broker has: %s", error.sentence)
            return None

    async def _look_through(self, collection: str) -> None:
        """Tell all documents of a collection whenever it has to be looked through."""
        while True:
            if not self.projections.is_unseen(collection):
                await asyncio.sleep(LOOK_SECONDS)
                continue
            self.projections.begin(collection)
            names = await self._names(collection)
            for first in range(0, len(names), NAMES_AT_ONCE):
                # What waits is bounded: no more is told before the last was sent.
                while self.projections.waiting_of(collection) > NAMES_AT_ONCE:
                    self._sent.clear()
                    await self._sent.wait()
                self.stored(names[first : first + NAMES_AT_ONCE])
            self.projections.seen(collection)

    async def _keep_marking(self, link: BrokerLink, topics: Topics) -> None:
        written = None
        while True:
            mark = self.projections.mark
            if mark != written:
                said = json.dumps({"start": mark.start, "number": mark.number}).encode()
                self._marked = mark.number
                self._many.clear()
                await self._publish(link, Publication(topics.projected, said, retain=True), "mark")
                written = mark
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MARK_SECONDS):
                    await self._many.wait()

    async def _work(self, link: BrokerLink, topics: Topics) -> None:
        while True:
            document = self.projections.next(self._now())
            if document is None:
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS if self.projections.waiting else None):
                        await self._news.wait()
                continue
            try:
                await self._send(document, link, topics)
            except BaseException:
                self.projections.failed(document)
                raise
            self._sent.set()

    async def _send(self, document: str, link: BrokerLink, topics: Topics) -> None:
        try:
            payload = await self._payload(document)
        except DocumentBroken as error:
            log.warning("%s cannot be shown: %s", document, error.sentence)
            self.projections.left(document)
            return
        topic, digest = topics.json(document), digest_of(payload)
        if self.projections.has(document, digest):
            self.projections.left(document)
            return
        if len(topic) + len(payload) > link.most_bytes:
            payload = _json(TRUNCATED)
        publication = Publication(topic, payload, retain=True)
        if await self._publish(link, publication, document.partition("/")[0]):
            self.published += 1
            self.projections.done(document, digest, self._now())
            if self.projections.mark.number - self._marked >= MARK_PUBLICATIONS:
                self._many.set()
        else:
            self.projections.refused(document, self._now())

    async def _publish(self, link: BrokerLink, publication: Publication, what: str) -> bool:
        """Whether the broker took it."""
        try:
            await link.publish(publication)
        except GatewayError as error:
            if error.code not in REFUSED:
                raise
            self._refused(what, error)
            return False
        self._refused(what, None)
        return True

    async def _payload(self, document: str) -> bytes:
        """The content of a document as JSON; nothing if it is empty."""
        async with self._making:
            whole = await self._local.whole(document)
            began = self._now()
            if len(whole) > LARGE_BYTES:
                return await self._helper.run(_projected, whole)
            payload = _projected(whole) if whole else b""
            await asyncio.sleep(max(PACE_SECONDS, REST * (self._now() - began)))
            return payload


def _projected(whole: bytes) -> bytes:
    content = project(read_update(whole))
    return _json(content) if content else b""


def _json(content: Any) -> bytes:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    # A document may hold half a character; MQTT says nothing of payloads, JSON is UTF-8.
    return text.encode(errors="replace")
