"""Finding peers in the local network by multicast DNS (RFC 6762, RFC 6763), on zeroconf.

The library keeps the interfaces it found at its start, so it is started anew whenever they
change. Nothing a neighbour says is logged or kept before ``core.announcement`` has read it.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from zeroconf import Error, IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from gateway.core.announcement import TXT_BYTES, Address, Announcement, read
from gateway.core.errors import GatewayError
from gateway.ports import Sightings

PEERS = "_store-gateway._tcp.local."
PAGES = "_http._tcp.local."
# Who is named but not asked any more; the core remembers as many.
MAX_NAMES = 256
MAX_QUESTIONS = 16
ANSWER_MILLISECONDS = 3_000.0
# Records that were replaced are kept for a second (RFC 6762 section 10.2): look again after that.
FLUSH_SECONDS = 1.5
LOOKS = 3
# Records of a peer that vanished are kept this long; RFC 6762 section 10 says 75 minutes.
TTL_SECONDS = 120
# RFC 6763 section 4.1.1: an instance name has 63 bytes; the rest is ours.
LABEL_BYTES = 40
MAX_INTERFACES = 16
EX_UNAVAILABLE = 69

_NAME = re.compile(rf"([0-9a-f]{{32}})\.{re.escape(PEERS)}\Z", re.IGNORECASE)

# It quotes what comes from the network as it is.
logging.getLogger("zeroconf").setLevel(logging.CRITICAL)


class MulticastDns:
    """Satisfies ``Discovery``."""

    def __init__(self) -> None:
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._sightings: Sightings | None = None
        self._questions = asyncio.Semaphore(MAX_QUESTIONS)
        self._asking: dict[str, asyncio.Task[None]] = {}
        # Asked again once the question that is out was answered.
        self._again: set[str] = set()
        self._seen: set[str] = set()

    async def start(
        self, addresses: Sequence[Address], own: Announcement | None, sightings: Sightings
    ) -> None:
        """See ``Discovery``."""
        interfaces = _interfaces(addresses)
        if not interfaces:
            return
        self._sightings = sightings
        try:
            self._zeroconf = AsyncZeroconf(interfaces=interfaces, ip_version=_version(interfaces))
            await self._zeroconf.zeroconf.async_wait_for_start()
            for service in _services(own) if own else ():
                # Names hold the peer's id: nobody else has them, so there is nothing to probe for.
                await self._zeroconf.async_register_service(service, cooperating_responders=True)
            self._browser = AsyncServiceBrowser(
                self._zeroconf.zeroconf, PEERS, handlers=[self._changed]
            )
        except (OSError, RuntimeError, Error) as error:
            # An interface that went away meanwhile is a RuntimeError here.
            await self.stop(goodbye=False)
            raise GatewayError("discovery-failed", _cause(error), EX_UNAVAILABLE) from error

    async def stop(self, *, goodbye: bool) -> None:
        """See ``Discovery``."""
        zeroconf, self._zeroconf = self._zeroconf, None
        browser, self._browser = self._browser, None
        self._sightings = None
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        self._asking.clear()
        self._again.clear()
        self._seen.clear()
        if browser is not None:
            await browser.async_cancel()
        if zeroconf is not None:
            if not goodbye:
                # What it would send at closing is made here, and forgotten.
                zeroconf.zeroconf.generate_unregister_all_services()
            # What kept it from starting is raised here once more.
            with contextlib.suppress(OSError, RuntimeError, Error):
                await zeroconf.async_close()

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        """zeroconf: a name appeared, went or stands for something else now."""
        match = _NAME.match(name)
        if match is None:
            return
        peer = match[1].lower()
        if state_change is ServiceStateChange.Removed:
            self._removed(peer)
        elif peer in self._asking:
            self._again.add(peer)
        elif peer in self._seen or len(self._seen | self._asking.keys()) < MAX_NAMES:
            task = asyncio.get_running_loop().create_task(self._ask(zeroconf, peer))
            self._asking[peer] = task
            task.add_done_callback(partial(self._asked, peer))

    def _asked(self, peer: str, task: asyncio.Task[None]) -> None:
        if self._asking.get(peer) is task:
            del self._asking[peer]

    def _removed(self, peer: str) -> None:
        if (task := self._asking.pop(peer, None)) is not None:
            task.cancel()
        self._again.discard(peer)
        if peer in self._seen:
            self._seen.discard(peer)
            if self._sightings is not None:
                self._sightings.gone(peer)

    async def _ask(self, zeroconf: Zeroconf, peer: str) -> None:
        """Ask what a name stands for, and again as long as that changes."""
        left = LOOKS
        while left:
            self._again.discard(peer)
            async with self._questions:
                await self._look(zeroconf, peer)
            await asyncio.sleep(FLUSH_SECONDS)
            left = LOOKS if peer in self._again else left - 1

    async def _look(self, zeroconf: Zeroconf, peer: str) -> None:
        info = AsyncServiceInfo(PEERS, f"{peer}.{PEERS}")
        is_answered = await info.async_request(zeroconf, ANSWER_MILLISECONDS)
        if not is_answered or self._sightings is None or len(info.text or b"") > TXT_BYTES:
            return
        addresses = info.parsed_scoped_addresses(IPVersion.All)
        neighbour = read(peer, info.properties, info.port, addresses)
        if neighbour is not None:
            self._seen.add(peer)
            self._sightings.seen(neighbour)


def _interfaces(addresses: Sequence[Address]) -> list[str | int]:
    """As zeroconf takes them: IPv4 by address, IPv6 by the number of the interface."""
    usable = [address for address in addresses if address.usable]
    old = [address.ip for address in usable if ":" not in address.ip]
    new = dict.fromkeys(address.index for address in usable if ":" in address.ip)
    return [*old[:MAX_INTERFACES], *list(new)[:MAX_INTERFACES]]


def _version(interfaces: Sequence[str | int]) -> IPVersion:
    kinds = {type(interface) for interface in interfaces}
    if kinds == {str, int}:
        return IPVersion.All
    return IPVersion.V4Only if kinds == {str} else IPVersion.V6Only


def _services(own: Announcement) -> list[AsyncServiceInfo]:
    # A host name of our own: the device's is announced by others, such as avahi.
    common: dict[str, Any] = {
        "server": f"store-gateway-{own.peer[:12]}.local.",
        "parsed_addresses": list(own.addresses),
        "host_ttl": TTL_SECONDS,
        "other_ttl": TTL_SECONDS,
    }
    services = [
        AsyncServiceInfo(PEERS, f"{own.peer}.{PEERS}", own.port, properties=own.txt(), **common)
    ]
    if own.pages:
        label = f"{_label(own.name)} ({own.peer[:8]})"
        services.append(AsyncServiceInfo(PAGES, f"{label}.{PAGES}", own.pages, **common))
    return services


def _label(name: str) -> str:
    """A name for people, as part of one in the DNS."""
    shown = "".join(c if c.isprintable() and c != "." else " " for c in name)
    return shown.encode()[:LABEL_BYTES].decode(errors="ignore").strip() or "Store Gateway"


def _cause(error: Exception) -> str:
    shown = error.strerror if isinstance(error, OSError) else "an interface went away"
    return f"nobody can be found in the network at the moment: {shown}"
