"""A small device forgets what it need not keep: never a delete, nothing of it goes to others.

Only what no subscription of this device holds, and only what a large peer that is linked has on
its disk, in whole, at that moment. Who subscribes to it again is given it again.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import cast

from gateway.core.document import DocumentBroken
from gateway.core.errors import GatewayError
from gateway.core.events import Bring
from gateway.core.session import Session, Standing, State
from gateway.ports import Store
from gateway.runtime.perform import Performer

# Looking costs a pass over the store.
EVICT_SECONDS = 10.0
# Documents looked at in one go, so that nobody waits for it.
MOST_AT_ONCE = 256

log = logging.getLogger("gateway")


class Eviction:
    """Of one device. ``storage``: bytes of updates; ``always``: also below that.

    ``client`` is the Yjs client id of this process. What it wrote stays until it ends, or it
    would write under that id from the beginning.
    """

    def __init__(
        self, performer: Performer, store: Store, client: int, storage: int, *, always: bool
    ) -> None:
        self._performer = performer
        self._hub = performer.hub
        self._store = store
        self._client = client
        self._storage = storage
        self._always = always

    async def keep(self) -> None:
        """Look every ten seconds, for ever."""
        while True:
            await asyncio.sleep(EVICT_SECONDS)
            await self.look()

    async def look(self) -> int:
        """Forget what may be forgotten; returns how many documents.

        What a peer is not known to have is offered to it, for the next time.
        """
        peers = [one for one in self._hub.sessions if one.large and one.state is State.OPEN]
        if not peers:
            return 0
        held = cast(Sequence[tuple[str, int]], await self._performer.writer.call(self._store.held))
        safe = await self._safe(held, peers[0])
        # Whatever happened while documents were read: from here on nothing happens in between.
        gone = [name for name in safe if self._may_go(name)]
        for name in gone:
            self._performer.perform(self._hub.forget(name))
        if gone:
            await self._remove(gone)
        return len(gone)

    async def _safe(self, held: Sequence[tuple[str, int]], peer: Session) -> list[str]:
        """What is to go and may go, the one unchanged for longest first."""
        over = sum(size for _, size in held) - self._storage if self._storage else 0
        safe: list[str] = []
        unknown: list[str] = []
        for name, size in held:
            enough = not self._always and over <= 0
            if enough or len(safe) + len(unknown) >= MOST_AT_ONCE:
                break
            if not self._hub.selections.unwanted(name) or not await self._read(name):
                continue
            if self._may_go(name):
                safe.append(name)
                over -= size
            else:
                unknown.append(name)
        if unknown:
            self._performer.perform([Bring(peer, tuple(unknown))])
        return safe

    async def _read(self, name: str) -> bool:
        try:
            while self._hub.needs(name):
                await self._performer.load(name)
        except DocumentBroken:
            return False
        return True

    def _may_go(self, name: str) -> bool:
        room = self._hub.rooms.get(name)
        if room is None or room.document is None or room.busy or room.document.early:
            return False
        if self._client in room.document.clocks or not self._hub.selections.unwanted(name):
            return False
        members = room.members
        return any(_has(one, name) for one, answered in members.items() if answered) and all(
            one.large and not one.awaits(name) for one in members
        )

    async def _remove(self, gone: list[str]) -> None:
        try:
            await self._performer.writer.call(partial(self._store.forget, gone))
        except GatewayError as error:
            # On a full disk nothing is removed either; they are looked at again.
            log.warning("documents could not be evicted: %s", error.sentence)
        else:
            log.info("%d documents were evicted", len(gone))


def _has(session: Session, name: str) -> bool:
    return session.large and session.progress(name).standing is Standing.HAS
