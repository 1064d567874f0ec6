"""Where the nodes of a broker are, and which of them is tried first."""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.adapters.mqtt_pipe import Settings, broker_error

# A name server.
NAME_SECONDS: Final = 10.0
# Addresses of one name that are tried.
MAX_TRIED: Final = 4
# A connection that lasted so long is made to the same address again: what a broker retains may be
# at one node alone. After a shorter one the next has its turn: the first lets in, and no more.
STEADY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """One address of a node; ``host`` and ``port`` as they stand in the settings."""

    host: str
    port: int
    family: int
    address: tuple[Any, ...]

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.host}:{self.port}"

    def of(self, settings: Settings) -> Settings:
        """The settings of a broker that is here alone."""
        return replace(settings, host=self.host, port=self.port, more=())


async def places(settings: Settings) -> Sequence[Place]:
    """All addresses of all nodes, in their order. Raises ``GatewayError`` if there is none."""
    nodes = ((settings.host, settings.port), *settings.more)
    found = await asyncio.gather(*(_places(host, port) for host, port in nodes))
    if not any(found):
        raise broker_error("broker-name", ", ".join(host for host, _ in nodes))
    return [place for some in found for place in some]


def in_turn(found: Sequence[Place], last: Place | None, lasted: float) -> Sequence[Place]:
    """All of them, each once, in the order in which they are tried.

    ``last``: where the last connection was, which ``lasted`` so many seconds.
    """
    if last not in found:
        return found
    first = found.index(last) + (0 if lasted >= STEADY_SECONDS else 1)
    return [*found[first:], *found[:first]]


async def _places(host: str, port: int) -> Sequence[Place]:
    """Those of one node; none if its name is not known."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(NAME_SECONDS):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError, TimeoutError):
        return []
    tried = dict.fromkeys((family, address) for family, _, _, _, address in found)
    return [Place(host, port, family, address) for family, address in list(tried)[:MAX_TRIED]]
