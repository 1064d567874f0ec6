"""Keeps what waits for a hub within its bounds, connected or not."""

import asyncio
import logging
from functools import partial

from gateway.core.errors import GatewayError
from gateway.core.records import OutboxStatus
from gateway.core.relay_update import shrunk
from gateway.ports import Outbox
from gateway.runtime.bridge_relay import Upwards
from gateway.runtime.bridge_shelf import Shelf
from gateway.runtime.bridge_whole import whole
from gateway.runtime.threads import Helper

# How often it is looked how much waits.
LOOK_SECONDS = 5.0
# Documents that are looked at for changes that can be merged; so many of them at once.
MOST_MERGED = 1_000
READ_AT_ONCE = 16
# After merging there is room again, or the next change would be too much.
ROOMY = 0.75

log = logging.getLogger("gateway.cloud")


class Bounds:
    """``most_bytes``: of what waits."""

    def __init__(self, upwards: Upwards, shelf: Shelf, helper: Helper, most_bytes: int) -> None:
        self._upwards = upwards
        self._shelf = shelf
        self._outbox: Outbox = shelf.store
        self._helper = helper
        self._most_bytes = most_bytes

    async def keep(self) -> None:
        """Look now and then, for ever."""
        while True:
            try:
                await self.look()
            except GatewayError as error:
                # The disk is full, which passes; or the store is lost, and the gateway ends.
                log.warning("what waits for the hub cannot be looked at: %s", error.sentence)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look how much waits; merge it if that is too much, and if that does not help leave it."""
        if (await self._weigh()).bytes <= self._most_bytes:
            return
        log.warning("more waits for the hub than the settings allow; it is merged")
        await self._merge()
        if (await self._weigh()).bytes > self._most_bytes:
            log.warning("too much waits for the hub; all documents will be compared instead")
            await self._shelf.run(self._outbox.leave)
            self._upwards.relay.forget()
            await self._weigh()

    async def resume(self) -> None:
        """All was compared: changes wait again from now on."""
        await self._shelf.run(self._outbox.resume)
        await self._weigh()

    async def _weigh(self) -> OutboxStatus:
        waited = self._upwards.waited()
        self._upwards.status = await self._shelf.run(partial(_weighed, self._outbox, waited))
        return self._upwards.status

    async def _merge(self) -> None:
        """Merge what waits of documents, those with the most changes first."""
        names = list(await self._shelf.run(partial(self._outbox.waiting, MOST_MERGED)))
        counts: dict[str, int] = {}
        for first in range(0, len(names), READ_AT_ONCE):
            some = names[first : first + READ_AT_ONCE]
            counts.update(await self._shelf.run(partial(_counts, self._outbox, some)))
        for name in sorted(counts, key=counts.__getitem__, reverse=True):
            if counts[name] < 2 or await self._has_room():
                return
            await self._merge_one(name)

    async def _has_room(self) -> bool:
        status = await self._shelf.run(self._outbox.outbox_status)
        return status.bytes <= ROOMY * self._most_bytes

    async def _merge_one(self, name: str) -> None:
        waiting = await self._shelf.run(partial(self._outbox.read, name))
        if waiting.more:
            one = await whole(self._shelf, self._helper, name, waiting)
            if one is not waiting:
                await self._shelf.run(partial(self._outbox.merge, name, one.last, one.updates[0]))
                return
        stored = (await self._shelf.stored([name]))[name]
        parts = await self._helper.run(shrunk, name, stored, waiting.updates)
        if len(parts) == 1 < len(waiting.updates):
            await self._shelf.run(partial(self._outbox.merge, name, waiting.last, parts[0]))


def _weighed(outbox: Outbox, waited: int | None) -> OutboxStatus:
    if waited is not None:
        outbox.note_waited(waited)
    return outbox.outbox_status()


def _counts(outbox: Outbox, names: list[str]) -> dict[str, int]:
    return {name: len(outbox.read(name).updates) for name in names}
