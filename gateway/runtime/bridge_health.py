"""Says at the broker how this gateway is, and describes it to Home Assistant (docs/mqtt.md)."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.core.bridge import Publication
from gateway.core.bridge_topics import Topics
from gateway.core.errors import GatewayError
from gateway.core.home_assistant import ONLINE, STATUS, discovery, discovery_topic
from gateway.ports import BrokerLink, Clock
from gateway.runtime.bridge_inbox import Inbox
from gateway.runtime.bridge_projector import REFUSED

# It is said when it changes, but not more often than this, and now and then anyway.
LEAST_SECONDS = 10.0
MOST_SECONDS = 300.0
# Whoever says without end that Home Assistant is there does not have it described as often.
DESCRIBED_SECONDS = 1.0
OFFLINE = b'{"online": false}'


def will(topics: Topics) -> Publication:
    """What the broker says of a gateway whose connection is lost."""
    return Publication(topics.health, OFFLINE, retain=True)


class Health:
    """``figures()`` gives what is said beside ``online``; ``refused``: see ``Projector``.

    ``device``: peer id, name and version for Home Assistant, or None.
    """

    def __init__(
        self,
        figures: Callable[[], Awaitable[Mapping[str, Any]]],
        device: tuple[str, str, str] | None,
        refused: Callable[[str, GatewayError | None], None],
        clock: Clock,
    ) -> None:
        self._figures = figures
        self._device = device
        self._refused = refused
        self._now = clock.monotonic
        self._appeared = asyncio.Event()

    @property
    def topics(self) -> list[str]:
        """Where Home Assistant says whether it is there."""
        return [] if self._device is None else [STATUS]

    async def serve(self, link: BrokerLink, topics: Topics, inbox: Inbox) -> None:
        """Say it until the connection is lost. Raises ``GatewayError``."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_telling(link, topics))
            if self._device is not None:
                tasks.create_task(self._keep_describing(link, topics, self._device))
                tasks.create_task(self._keep_hearing(link, inbox))

    async def _keep_telling(self, link: BrokerLink, topics: Topics) -> None:
        said: Mapping[str, Any] = {}
        said_at = 0.0
        while True:
            figures = {"online": True, **await self._figures()}
            now = self._now()
            if figures != said or now - said_at >= MOST_SECONDS:
                payload = json.dumps(figures, ensure_ascii=False).encode(errors="replace")
                await self._publish(link, Publication(topics.health, payload, retain=True))
                said, said_at = figures, now
            await asyncio.sleep(LEAST_SECONDS)

    async def _keep_hearing(self, link: BrokerLink, inbox: Inbox) -> None:
        await self._try("home assistant", link.subscribe([STATUS]))
        while True:
            message = await inbox.message(STATUS)
            if message.payload == ONLINE:
                self._appeared.set()
            link.done(message)

    async def _keep_describing(
        self, link: BrokerLink, topics: Topics, device: tuple[str, str, str]
    ) -> None:
        payload = json.dumps(discovery(topics, *device), ensure_ascii=False)
        topic = discovery_topic(device[0])
        while True:
            self._appeared.clear()
            described = Publication(topic, payload.encode(errors="replace"), retain=True)
            await self._publish(link, described)
            await asyncio.sleep(DESCRIBED_SECONDS)
            await self._appeared.wait()

    async def _publish(self, link: BrokerLink, publication: Publication) -> None:
        await self._try("health", link.publish(publication))

    async def _try(self, what: str, attempt: Awaitable[None]) -> None:
        try:
            await attempt
        except GatewayError as error:
            if error.code not in REFUSED:
                raise
            self._refused(what, error)
        else:
            self._refused(what, None)
