"""The composition of Bluetooth: radio, its keeper, phones and what is advertised.

Only imported where Bluetooth is on: its libraries take some megabytes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from gateway.adapters.ble import Ble
from gateway.adapters.radio_tools import LinuxRadioTools
from gateway.core.errors import Code, PeerError
from gateway.core.places import Places
from gateway.core.radio import UNCLAIMED, section
from gateway.core.session import Session
from gateway.ports import Clock, Link
from gateway.runtime.beacons import Beacons, Place
from gateway.runtime.members import Members
from gateway.runtime.phone_link import PhoneLink
from gateway.runtime.phones import PhoneBook
from gateway.runtime.radio import RadioKeeper
from gateway.runtime.store_state import StoreState

Spawn = Callable[[Coroutine[None, None, None]], object]


class Bluetooth:
    """``serve`` runs a session over a link; ``session(address)`` makes one, or raises
    ``PeerError``; ``end`` closes one. ``adapter`` and ``most``: see ``config.Bluetooth``.
    """

    def __init__(
        self,
        peer: bytes,
        adapter: str,
        most: int,
        session: Callable[[str], Session],
        serve: Callable[[Link, Session], Awaitable[None]],
        end: Callable[[Session, Code, str], None],
        spawn: Spawn,
        clock: Clock,
    ) -> None:
        self._radio = Ble(adapter)
        self._clock = clock
        self._session = session
        self._serve = serve
        # Also who is told of sessions (``Watcher``).
        self.phones = PhoneBook(
            self._radio, peer, self._serve_phone, spawn, end, clock, Places(most)
        )
        self._keeper = RadioKeeper(self._radio, LinuxRadioTools(), self.phones, clock, adapter)
        self._of_store = asyncio.Event()

    def status(self) -> Mapping[str, Any]:
        """See ``RadioKeeper``."""
        return self._keeper.status() if self._of_store.is_set() else section(UNCLAIMED)

    def start(
        self,
        spawn: Spawn,
        members: Members,
        state: StoreState,
        places: Callable[[], list[Place]],
        draw: Callable[[int], bytes],
    ) -> None:
        """Begin; until the tasks of ``spawn`` are ended."""
        free = self.phones
        beacons = Beacons(self._radio, members, state, places, lambda: free.free, draw, self._clock)
        if members.membership is not None:
            self.claimed()
        for work in (self._keep(), self.phones.keep_time(), beacons.keep()):
            spawn(work)

    async def drained(self, seconds: float) -> None:
        """Wait until all links ended, at most so long, and end all connections."""
        await self.phones.drained(seconds)

    def claimed(self) -> None:
        """This device is of a store: the radio may be used."""
        self._of_store.set()

    async def _keep(self) -> None:
        await self._of_store.wait()
        await self._keeper.keep()

    async def _serve_phone(self, link: PhoneLink) -> None:
        try:
            session = self._session(link.address)
        except PeerError as error:
            link.close(error.code, error.reason)
            return
        self.phones.joined(session, link)
        await self._serve(link, session)
