"""A gateway in memory and a hub, over a connection that can be looked at and lost."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from unittest.mock import patch

from gateway.core.bridge import Message, Publication
from gateway.core.bridge_envelope import open_up, seal_down
from gateway.core.bridge_items import Item, read, written
from gateway.core.bridge_topics import Topics
from gateway.core.errors import GatewayError
from gateway.core.primitives import public_of
from gateway.runtime import bridge_compare
from gateway.runtime.bridge_hub import HubTerms, HubWork
from gateway.runtime.bridge_inbox import Declined, Inbox
from gateway.runtime.local import Local
from gateway.runtime.members import Members
from gateway.runtime.perform import Watcher
from tests.core.stores import Device, gateway
from tests.runtime.memory import MemoryOutbox
from tests.runtime.test_bridge import FakeLink
from tests.runtime.test_perform import Running, running, until
from tests.support.stand_in_hub import StandInHub

SIGNING = b"h" * 32
KEY = public_of(SIGNING)


class HubLink(FakeLink):
    """A connection with a hub at its other end."""

    most_bytes = 262_000

    def __init__(self, site: "Site") -> None:
        super().__init__()
        self.site = site
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.finished: list[Message] = []
        self.subscribed: list[str] = []
        self.denied: GatewayError | None = None
        # What publishing raises, one after the other.
        self.refusals: list[GatewayError] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def subscribe(self, topics: Sequence[str]) -> None:
        if self.denied is not None:
            raise self.denied
        self.subscribed += topics

    async def message(self) -> Message:
        return await self.messages.get()

    def done(self, message: Message) -> None:
        self.finished.append(message)

    async def publish(self, publication: Publication) -> None:
        await self.gate.wait()
        if self.refusals:
            raise self.refusals.pop(0)
        assert publication.heard and publication.topic == self.site.topics.up
        self.sent.append(publication)
        own = self.site.device.of
        opened = open_up(publication.payload, own.store, own.peer)
        self.say(*self.site.hub.hear(read(opened.batch)))

    def say(self, *items: Item) -> None:
        """The hub says something."""
        for batch, _ in written(items):
            self.come(self.site.sealed(batch))

    def come(self, payload: bytes, topic: str = "", *, retained: bool = False) -> None:
        """Whatever comes from the broker."""
        self.messages.put_nowait(Message(topic or self.site.topics.down, payload, retained))


@dataclass
class FakeMembers:
    membership: Any
    told: list[Callable[[Any], None]]

    def watch(self, on_revoked: Callable[[Any], None]) -> None:
        self.told.append(on_revoked)


class Site(Watcher):
    """A gateway, its app, its hub."""

    def __init__(self, one: Running, terms: HubTerms, device: Device) -> None:
        self.one, self.device = one, device
        self.store = cast(MemoryOutbox, one.store)
        self.topics = Topics("store-gateway", device.of.store, device.peer)
        self.hub = StandInHub()
        self.app = Local("me", 7)
        self.app.attach(one.performer)
        self.refusals: dict[str, GatewayError | None] = {}
        self.declined = Declined()
        self.members = FakeMembers(device.membership, [])
        self.chance = self.ahead = 0.0
        source = random.Random(7)
        self.made_of = (
            terms, cast(Members, self.members), one.performer, self.store, one.helper,
            self.declined, self.refusals.__setitem__, source.randbytes, self,
            lambda: self.chance,
        )  # fmt: skip
        self.work = HubWork(*self.made_of)
        self.links: list[HubLink] = []

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead

    def stored(self, documents: Collection[str]) -> None:
        self.work.stored(documents)

    def sealed(self, batch: bytes) -> bytes:
        return seal_down(SIGNING, self.device.of.store, self.device.peer, batch)

    @asynccontextmanager
    async def linked(self, **changes: Any) -> AsyncIterator[HubLink]:
        """Over one connection."""
        link = HubLink(self)
        for name, value in changes.items():
            setattr(link, name, value)
        self.links.append(link)
        inbox = Inbox(link, [self.topics.down, self.topics.hub], self.declined)
        tasks = [
            asyncio.ensure_future(work)
            for work in (inbox.serve(), *self.work.over(link, self.topics, inbox))
        ]
        try:
            yield link
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended

    def of(self, kind: type) -> list[Any]:
        """What of this kind the hub heard."""
        return [item for item in self.hub.heard if isinstance(item, kind)]


@asynccontextmanager
async def hub_site(
    up: Sequence[str] | None = None,
    down: Sequence[str] = ("menu",),
    most_bytes: int = 1 << 20,
    device: Device | None = None,
) -> AsyncIterator[Site]:
    watcher = Forward()
    # How soon it is looked whether all was surveyed decides nothing here.
    looks = patch.object(bridge_compare, "LOOK_SECONDS", 0.02)
    async with running(watcher, MemoryOutbox()) as one:
        terms = HubTerms(KEY, up, down, most_bytes)
        site = Site(one, terms, device or gateway(1))
        watcher.site = site
        with looks:
            yield site


class Forward(Watcher):
    """Tells a site that is made later."""

    site: Site

    def stored(self, documents: Collection[str]) -> None:
        self.site.stored(documents)


__all__ = ["HubLink", "Site", "hub_site", "until"]
