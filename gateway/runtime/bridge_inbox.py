"""Reads what the broker sends, and hands each message to who is concerned (docs/mqtt.md)."""

import asyncio
import logging
from collections.abc import Iterable

from gateway.core.bridge import Message
from gateway.ports import BrokerLink

# A flood of what is refused must not fill the disk: of more than this every so many-th is logged.
LOGGED = 100
# Messages of one topic that wait for who is concerned; then no more of any topic are read, and the
# connection, which holds no more than it may, keeps them.
MOST_WAITING = 8

log = logging.getLogger("gateway.cloud")


class Declined:
    """Counts what came from the broker and was not taken, and names it in the log."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, why: str) -> None:
        """Something was not taken; ``why`` holds nothing of its content."""
        self.count += 1
        if self.count <= LOGGED or self.count % LOGGED == 0:
            log.warning("refused from the broker: %s", why)


class Inbox:
    """The messages of one connection, by topic; who takes one says ``link.done``."""

    def __init__(self, link: BrokerLink, topics: Iterable[str], declined: Declined) -> None:
        self._link = link
        self._queues: dict[str, asyncio.Queue[Message]] = {
            topic: asyncio.Queue(MOST_WAITING) for topic in topics
        }
        self._declined = declined

    async def serve(self) -> None:
        """Read until the connection is lost. Raises ``GatewayError``."""
        while True:
            message = await self._link.message()
            queue = self._queues.get(message.topic)
            if queue is None:
                self._declined("a message of a topic that was not asked for")
                self._link.done(message)
            else:
                await queue.put(message)

    async def message(self, topic: str) -> Message:
        """The next message of a topic."""
        return await self._queues[topic].get()
