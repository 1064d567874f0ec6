"""A member that comes back by itself, as an app on a phone does: find, meet, run, and again."""

import asyncio
from base64 import urlsafe_b64decode
from types import TracebackType
from typing import Self

from bumble.core import AdvertisingData, BaseBumbleError
from bumble.hci import Address

from gateway.core.beacon import is_of_store
from gateway.core.errors import Code, PeerError
from gateway.core.opening import SERVICE
from gateway.core.session import Standing, State
from tests.lab.pi.air import Air
from tests.lab.pi.member import GattLink, Member
from tests.lab.pi.phone import Found

# From finding the gateway until a session is open.
MEET_SECONDS = 25.0
# Between two tries: longer each time while they fail.
PAUSE_SECONDS = (0.2, 0.5, 1.0, 2.0)
TICK_SECONDS = 0.5
# What was compared and not opened until then is equal.
COMPARED_SECONDS = 3.0

# What may go wrong on the way to a session; a service that is not there is a KeyError.
FAILURES = (AssertionError, TimeoutError, KeyError, PeerError, BaseBumbleError)


class Keeper(Member):
    """``async with Keeper(air, 1, "notes") as member``; it links by itself after ``keep()``."""

    ticks = False

    def __init__(self, air: Air, number: int, *interests: str) -> None:
        super().__init__(air, number, *interests)
        # How often a session was open, what the sessions ended with, and what went wrong else.
        self.links = 0
        # From when to when each was.
        self.spans: list[tuple[float, float]] = []
        self.codes: list[int] = []
        self.troubles: list[str] = []
        # Of gateways that could not show that they are of our store.
        self.shunned: set[Address] = set()
        self._since = 0.0
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # The hub's time must not jump while there is a session.
        self.perform(self.hub.tick(self._now()))
        return await super().__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.rest()
        await super().__aexit__(kind, error, trace)

    def keep(self) -> Self:
        """From now on be linked whenever it can be."""
        self._keeping = asyncio.create_task(self._keep())
        return self

    async def rest(self) -> None:
        """Have no link, and make none any more."""
        task, self._keeping = self._keeping, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()
        await self._part()

    @property
    def linked(self) -> bool:
        """Whether there is a session that is open."""
        session = self.session_
        return session is not None and session in self.hub.sessions and session.state is State.OPEN

    async def save(self, document: str, key: str, value: object, seconds: float = 60.0) -> float:
        """Change a document and wait until the gateway has it; the seconds that took."""
        began = self._now()
        self.set(document, key, value)
        if self.linked:
            self._say()
        await self.until(lambda: self._has(document), seconds)
        return self._now() - began

    def _has(self, document: str) -> bool:
        """Whether the gateway has all of a document."""
        session = self.session_
        if session is None or not self.linked:
            return False
        room = self.hub.rooms.get(document)
        if room is None or session not in room.members:
            return self._now() - self._since >= COMPARED_SECONDS
        return room.members[session] and session.progress(document).standing is Standing.HAS

    async def _keep(self) -> None:
        # Of the link by which it was paired.
        await self._part()
        failed = 0
        while True:
            # What bumble waits for is cancelled when a link is lost, so it gets its own task.
            task = asyncio.create_task(self._once())
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
                await asyncio.wait({task})
                await self._part()
            error = None if task.cancelled() else task.exception()
            if isinstance(error, FAILURES):
                self.troubles.append(f"{type(error).__name__}: {error}")
            elif error is not None:
                raise error
            failed = 0 if error is None else failed + 1
            await asyncio.sleep(PAUSE_SECONDS[min(failed, len(PAUSE_SECONDS) - 1)])

    async def _once(self) -> None:
        """One link, from finding the gateway to its end."""
        async with asyncio.timeout(MEET_SECONDS):
            address = (await self.phone.find(SERVICE, accepts=self._ours)).address
            await self.meet(address=address)
        assert self.link is not None
        self.phone.on_lost(self.link.close)
        self._since = self._now()
        self.links += self.linked
        ticking = asyncio.create_task(self._tick(self.link))
        try:
            assert self._running is not None
            await asyncio.wait({self._running})
            self._running.result()
        finally:
            ticking.cancel()
            await asyncio.wait({ticking})
            self.spans.append((self._since, self._now()))
            farewell = self._session.farewell
            told = self._session.told
            self.codes.append(told[0] if told else farewell.code if farewell else 0)
            if self.codes[-1] in (Code.UNAUTHORISED, Code.OTHER_STORE):
                self.shunned.add(address)
            async with self._changed:
                self._changed.notify_all()

    async def _tick(self, link: GattLink) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.perform(self.hub.tick(self._now()))
            self._say()
            link.check()
            if self._session.state is State.CLOSED:
                link.close()
            async with self._changed:
                self._changed.notify_all()

    async def _part(self) -> None:
        """Nothing is left of a link."""
        if self.link is not None:
            self.link.close()
        running, self._running = self._running, None
        if running is not None:
            await asyncio.wait({running}, timeout=TICK_SECONDS)
            running.cancel()
        if self.session_ is not None and self.session_ in self.hub.sessions:
            self.perform(self.hub.leave(self.session_))
        await self.phone.leave()

    def _ours(self, found: Found) -> bool:
        """Whether an advertisement is of our store and nobody who only repeats it."""
        assert self.membership is not None
        name = found.scan_response.get(AdvertisingData.COMPLETE_LOCAL_NAME)
        if found.address in self.shunned or not isinstance(name, str):
            return False
        data = urlsafe_b64decode(name + "=" * (-len(name) % 4))
        return is_of_store(self.membership.root_public, data[:8])

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
