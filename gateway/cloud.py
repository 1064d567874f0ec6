"""The composition of the bridge to a cloud: broker, bridge, and what is done over it.

Only imported where it is on: its library takes some megabytes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from gateway.adapters.mqtt import Mqtt
from gateway.adapters.mqtt_pipe import Settings
from gateway.adapters.rtnetlink import Network
from gateway.core.announcement import is_this_machine
from gateway.core.bridge_topics import Topics
from gateway.core.projections import Projections
from gateway.ports import BrokerLink, Clock, RelayingStore
from gateway.runtime.bridge import Bridge
from gateway.runtime.bridge_commands import Commands
from gateway.runtime.bridge_health import Health, will
from gateway.runtime.bridge_hub import HubTerms, HubWork
from gateway.runtime.bridge_inbox import Declined, Inbox
from gateway.runtime.bridge_projector import Projector
from gateway.runtime.local import Local
from gateway.runtime.members import Members
from gateway.runtime.perform import Performer
from gateway.runtime.threads import Helper

Ask = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
START_BYTES = 8
# A clock before this was not set: the device has none while it is off.
FIRST_YEAR = 2025


class Cloud:
    """``settings`` without the client's id; ``root``, ``json``, ``commands``,
    ``home_assistant``: see ``config.Mqtt``; ``terms``: with a hub, if there is one. ``ask``: the
    verbs of this device.
    """

    def __init__(
        self,
        settings: Settings,
        root: str,
        json: Collection[str],
        commands: Collection[str],
        name: str,
        version: str,
        *,
        home_assistant: bool,
        terms: HubTerms | None,
        members: Members,
        local: Local,
        helper: Helper,
        ask: Ask,
        draw: Callable[[int], bytes],
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._root = root
        self._members = members
        self._name, self._version = name, version
        self._ask = ask
        self._terms = terms
        self._helper, self._draw, self._clock, self._chance = helper, draw, clock, chance
        self._hub: HubWork | None = None
        self._performer: Performer | None = None
        self._store: RelayingStore | None = None
        peer = members.peer.hex()
        # Also who is told what is on the disk (``Watcher``).
        nodes = (settings.host, *(host for host, _ in settings.more))
        is_here = any(map(is_this_machine, nodes))
        self.bridge = Bridge(Mqtt(settings), is_here, self._topics, will, clock, chance)
        refused = self.bridge.refused
        self._projector = Projector(
            Projections(json, draw(START_BYTES).hex()), local, helper, self._names, refused, clock
        )
        self._declined = Declined()
        self._commands = Commands(local, commands, refused, self._declined)
        device = (peer, name, version) if home_assistant else None
        self._health = Health(self._figures, device, refused, clock)
        # When all that was published so far, and nothing waited.
        self._last_sync: str | None = None
        self._synced = -1
        self.bridge.attach(self)

    def attach(self, performer: Performer, store: RelayingStore) -> None:
        """Whose documents these are; before the store's thread is started."""
        self._performer, self._store = performer, store
        if self._terms is not None:
            self._hub = HubWork(
                self._terms, self._members, performer, store, self._helper, self._declined,
                self.bridge.refused, self._draw, self._clock, self._chance,
            )  # fmt: skip

    async def keep(self) -> None:
        """Be connected whenever it can be, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.bridge.keep(Network()))
            if self._hub is not None:
                tasks.create_task(self._hub.keep())

    def stored(self, documents: Collection[str]) -> None:
        """See ``bridge.Work``."""
        self._projector.stored(documents)
        if self._hub is not None:
            self._hub.stored(documents)

    def over(self, link: BrokerLink, topics: Topics) -> Sequence[Coroutine[None, None, None]]:
        """See ``bridge.Work``."""
        commands = self._commands.topics(topics)
        of_hub = [] if self._hub is None else [topics.down, topics.hub]
        inbox = Inbox(link, [*commands, *self._health.topics, *of_hub], self._declined)
        return (
            inbox.serve(),
            self._projector.serve(link, topics),
            self._health.serve(link, topics, inbox),
            *([self._commands.serve(link, topics, inbox)] if commands else []),
            *([] if self._hub is None else self._hub.over(link, topics, inbox)),
        )

    def waiting(self) -> int:
        """See ``bridge.Work``."""
        there = self._projector.projections.waiting
        return there if self._hub is None else there + self._hub.waiting()

    def counts(self) -> dict[str, int]:
        """See ``bridge.Work``."""
        return {
            "published": self._projector.published,
            "commands": self._commands.done,
            "refused": self._declined.count,
            **({} if self._hub is None else self._hub.counts()),
        }

    def status(self) -> Mapping[str, Any]:
        """What the status says of the cloud; of updates both ways only where there are any."""
        return {**self.bridge.status(), **({} if self._hub is None else self._hub.status())}

    def _topics(self) -> Topics | None:
        membership = self._members.membership
        if membership is None:
            return None
        return Topics(self._root, membership.store, self._members.peer)

    async def _names(self, collection: str) -> Sequence[str]:
        """The documents of a collection, those that are about to be on the disk too."""
        assert self._performer is not None
        assert self._store is not None
        names = self._store.names
        stored = await self._performer.writer.call(lambda: names(collection))
        held = self._performer.hub.held(collection)
        return list(dict.fromkeys([*cast(Sequence[str], stored), *held]))

    async def _figures(self) -> Mapping[str, Any]:
        status = await self._ask("status", {})
        waiting = self.waiting()
        published = self._projector.published + (0 if self._hub is None else self._hub.sent)
        if not waiting and published != self._synced:
            self._last_sync, self._synced = _now(), published
        return {
            "name": self._name,
            "version": self._version,
            "peers": status["session_count"],
            "documents": status["store"]["documents"],
            "backlog": waiting,
            "last_sync": self._last_sync,
            "state": status["state"],
            "sentence": status["sentence"],
        }


def _now() -> str | None:
    """The time for people, if this device's clock was set."""
    now = datetime.now(UTC)
    return now.isoformat(timespec="seconds") if now.year >= FIRST_YEAR else None
