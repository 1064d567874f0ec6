"""A network in which discovery works, in memory."""

from collections.abc import Sequence

from gateway.core.announcement import Address, Announcement, Neighbour, read
from gateway.ports import Sightings


class Air:
    """What connects some ``MemoryDiscovery``."""

    def __init__(self) -> None:
        self.listening: dict[MemoryDiscovery, Sightings] = {}
        self.announced: dict[MemoryDiscovery, Announcement] = {}


class MemoryDiscovery:
    """Satisfies ``Discovery``."""

    def __init__(self, air: Air) -> None:
        self._air = air

    async def start(
        self, addresses: Sequence[Address], own: Announcement | None, sightings: Sightings
    ) -> None:
        assert self not in self._air.listening, "stop comes before another start"
        if not any(address.usable for address in addresses):
            return
        self._air.listening[self] = sightings
        for announcement in self._air.announced.values():
            self._tell(sightings, announcement)
        if own is not None:
            self._air.announced[self] = own
            for other in self._air.listening.values():
                self._tell(other, own)

    async def stop(self, *, goodbye: bool) -> None:
        self._air.listening.pop(self, None)
        own = self._air.announced.pop(self, None)
        if own is not None and goodbye:
            for sightings in self._air.listening.values():
                sightings.gone(own.peer)

    def _tell(self, sightings: Sightings, own: Announcement) -> None:
        txt = {key.encode(): value.encode() for key, value in own.txt().items()}
        neighbour = read(own.peer, txt, own.port, own.addresses)
        assert isinstance(neighbour, Neighbour)
        sightings.seen(neighbour)
