"""Brings to a hub what changed here, while there is a connection and somebody who listens.

What is sent, and in which order, is decided in ``core.relay``; what waits is in the store.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from gateway.core.bridge_items import Change
from gateway.core.records import OutboxStatus, StoredDocument, Waiting
from gateway.core.relay import MOST_NAMES, Rate, Relay
from gateway.core.relay_update import cut, is_worth, joined, shrunk
from gateway.ports import Clock, Outbox
from gateway.runtime.bridge_shelf import Shelf
from gateway.runtime.bridge_talk import HEAVY_BYTES, RECORD_BYTES, Talk
from gateway.runtime.bridge_whole import whole
from gateway.runtime.threads import Helper

# Messages that are on their way at once; a document is in one of them.
WORKERS = 3
# Of updates in a message, if one document has not more: what waited at the same time shares its
# signature, and repeats itself, so it deflates well.
MESSAGE_BYTES = 65_536
DOCUMENTS_AT_ONCE = 256
# After a try that was not taken.
REST_SECONDS = 1.0

log = logging.getLogger("gateway.cloud")


class Upwards:
    """``collections``: those whose changes are sent; None: all.

    Made before the store's thread is started.
    """

    def __init__(
        self,
        collections: Collection[str] | None,
        shelf: Shelf,
        talk: Talk,
        helper: Helper,
        clock: Clock,
    ) -> None:
        self.relay = Relay(collections)
        self.rate = Rate()
        self._shelf = shelf
        self._outbox: Outbox = shelf.store
        # What was known last of what waits (``bridge_outbox``).
        self.status = self._outbox.outbox_status()
        names = self._outbox.waiting(MOST_NAMES)
        self.relay.resume(names, self.status.waited, clock.monotonic())
        self._talk = talk
        self._helper = helper
        self._now = clock.monotonic
        self._news = asyncio.Event()
        # Whether what waited when the connection was made is there.
        self.caught_up = asyncio.Event()
        # Changes that were acknowledged, of how many bytes in the outbox, since the start.
        self.sent = self.sent_bytes = 0

    def stored(self, documents: Collection[str]) -> None:
        """Changes of these are on the disk. Does not wait."""
        if not self.status.left and self.relay.news(documents, self._now()):
            self._news.set()

    def waited(self) -> int | None:
        """For how long the oldest waits, at least, in seconds; None: it is not known which is."""
        if self.relay.is_sending:
            return None
        return int(self.relay.oldest_seconds(self._now()) or 0)

    async def serve(self) -> None:
        """Send what waits, until the connection is lost. Raises ``GatewayError``."""
        self.relay.begin()
        self.caught_up.clear()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WORKERS):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            await self._talk.until_heard()
            documents = await self._next()
            try:
                is_sent = await self._send(documents)
            except BaseException:
                self.relay.back([one for one in documents if self.relay.flies(one)])
                raise
            if not is_sent:
                await asyncio.sleep(REST_SECONDS)

    async def _next(self) -> Sequence[str]:
        """The documents of the next message, once there are some."""
        while True:
            self._news.clear()
            documents = self.relay.next(DOCUMENTS_AT_ONCE)
            if self.status.left or (not self.relay.more and len(documents) < DOCUMENTS_AT_ONCE):
                self.caught_up.set()
            if documents:
                return documents
            if self.status.left or not self.relay.more:
                await self._news.wait()
                continue
            asked = self.relay.question(DOCUMENTS_AT_ONCE)
            # Another one that asks meanwhile would be told the same.
            self.relay.more = False
            found = await self._shelf.run(partial(self._outbox.waiting, asked))
            self.relay.found(found, asked, self._now())
            self._news.set()

    async def _send(self, documents: Sequence[str]) -> bool:
        """Whether it was taken; what does not fit into a message waits for the next."""
        began = self._now()
        waiting = await self._shelf.run(partial(_read, self._outbox, documents))
        self.relay.back([one for one in documents if one not in waiting])
        self._news.set()
        for name, one in waiting.items():
            if one.more:
                waiting[name] = await whole(self._shelf, self._helper, name, one)
        items = await self._items(waiting)
        taken = [one for one in waiting if self.relay.flies(one)]
        if items and not await self._talk.tell(items):
            self.relay.back(taken)
            return False
        last = {one: waiting[one].last for one in taken if waiting[one].updates}
        before, self.status = await self._shelf.run(partial(_sent, self._outbox, last))
        self.relay.sent(taken, [one for one in last if waiting[one].more])
        size = before - self.status.bytes
        self.sent += len(last)
        self.sent_bytes += size
        self.rate.acknowledged(size, began, self._now())
        if self.relay.waiting or self.relay.more:
            self._news.set()
        return True

    async def _items(self, waiting: Mapping[str, Waiting]) -> list[Change]:
        limit = self._talk.limit - RECORD_BYTES
        updates = {name: one.updates for name, one in waiting.items()}
        worth = [name for name, some in updates.items() if is_worth(some)]
        size = sum(len(update) for some in updates.values() for update in some)
        if worth:
            stored = await self._shelf.stored(worth)
            parts = await self._helper.run(_made, updates, stored, limit)
        elif size > HEAVY_BYTES:
            parts = await self._helper.run(_made, updates, {}, limit)
        else:
            parts = _made(updates, {}, limit)
        too_long = [name for name, w in waiting.items() if w.updates and not parts[name]]
        for name in too_long:
            log.warning("%s has a part that is longer than a message to the hub", name)
        self.relay.put_aside(too_long)
        return [Change(name, part) for name in waiting for part in parts[name]]


def _read(outbox: Outbox, documents: Sequence[str]) -> dict[str, Waiting]:
    """What waits of the first of these, as much as a message holds; of one in any case."""
    found: dict[str, Waiting] = {}
    size = 0
    for document in documents:
        waiting = found[document] = outbox.read(document)
        size += sum(map(len, waiting.updates))
        if size >= MESSAGE_BYTES:
            break
    return found


def _sent(outbox: Outbox, last: Mapping[str, int]) -> tuple[int, OutboxStatus]:
    """How many bytes waited before, and what does now."""
    before = outbox.outbox_status().bytes
    for document, number in last.items():
        outbox.sent(document, number)
    return before, outbox.outbox_status()


def _made(
    updates: Mapping[str, Sequence[bytes]], stored: Mapping[str, StoredDocument], limit: int
) -> dict[str, list[bytes]]:
    """What is sent of each document; of those in ``stored`` it is worth to look at that too."""
    return {
        name: cut(shrunk(name, stored[name], some) if name in stored else joined(some), limit)
        for name, some in updates.items()
    }
