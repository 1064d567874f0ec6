"""Which state this device's store is in, as phones are told it and as it is advertised.

docs/protocol.md, STATE. A start is another state: what was promised before may have been lost
with the disk.
"""

import asyncio
from collections.abc import Callable

from gateway.core.beacon import state_digest
from gateway.core.mesh_session import MeshSession
from gateway.runtime.members import Members
from gateway.runtime.perform import Performer

START_BYTES = 8
COUNT_BYTES = 8
TELL_SECONDS = 1.0


class StoreState:
    """``draw(count)`` gives random bytes."""

    def __init__(
        self, peer: bytes, members: Members, performer: Performer, draw: Callable[[int], bytes]
    ) -> None:
        self._peer = peer
        self._members = members
        self._performer = performer
        self._start = draw(START_BYTES)

    def digest(self) -> bytes:
        """The digest of now; empty while this device is of no store."""
        membership = self._members.membership
        if membership is None:
            return b""
        state = self._start + self._performer.commits.to_bytes(COUNT_BYTES, "big")
        return state_digest(membership.root_public, self._peer, state)

    def tell(self) -> None:
        """Tell those who have everything."""
        if not (digest := self.digest()):
            return
        for session in list(self._performer.hub.sessions):
            if not isinstance(session, MeshSession) or not session.wants_state:
                continue
            if self._performer.settled(session) and session.tell_state(digest):
                self._performer.wake(session)

    async def keep_telling(self) -> None:
        """Look once a second, for ever."""
        while True:
            self.tell()
            await asyncio.sleep(TELL_SECONDS)
