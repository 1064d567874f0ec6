"""What a peer says of itself in the network, and what of that is believed.

docs/protocol.md section 11. Whoever is in the network may say anything: what is not exactly
right is no neighbour.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface

# Ours has about 60; the rest is for keys to come.
TXT_BYTES = 512
# More networks at once than a device in a shop is in.
MAX_ADDRESSES = 8
# A version in HELLO is a varint; one above this is a mistake.
MAX_VERSION = 9_999
# A store hint is short and opaque; empty for a device that is of no store.
_STORE = re.compile(rb"[0-9a-f]{0,32}\Z")
_PEER = re.compile(rb"[0-9a-f]{32}\Z")
_VERSIONS = re.compile(rb"([0-9]{1,4})-([0-9]{1,4})\Z")


@dataclass(frozen=True, slots=True)
class Address:
    """An address of this device. ``usable``: neighbours may be found over its interface."""

    ip: str
    prefix: int
    index: int
    usable: bool


@dataclass(frozen=True, slots=True)
class Announcement:
    """What this device says of itself; ``pages`` is the port of its pages, or 0."""

    peer: str
    lowest: int
    highest: int
    store: str
    large: bool
    port: int
    name: str
    pages: int
    addresses: tuple[str, ...] = ()

    def txt(self) -> dict[str, str]:
        """The TXT record."""
        fields = {"v": f"{self.lowest}-{self.highest}", "id": self.peer, "s": self.store}
        return {**fields, "l": "1"} if self.large else fields


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What another peer says of itself, checked; ``addresses`` in the order to try them."""

    peer: str
    lowest: int
    highest: int
    store: str
    large: bool
    port: int
    addresses: tuple[str, ...]


def read(
    label: str, txt: Mapping[bytes, bytes | None], port: int | None, addresses: Iterable[str]
) -> Neighbour | None:
    """The neighbour that announces itself as ``label``, or None if anything is not right."""
    peer, versions = txt.get(b"id") or b"", _VERSIONS.match(txt.get(b"v") or b"")
    store = txt.get(b"s") or b""
    if not (_PEER.match(peer) and label.lower().encode() == peer and _STORE.match(store)):
        return None
    if versions is None or not port or not 0 < port < 65_536:
        return None
    lowest, highest = int(versions[1]), int(versions[2])
    if not 0 < lowest <= highest <= MAX_VERSION:
        return None
    large = txt.get(b"l") == b"1"
    found = tuple(dict.fromkeys(addresses))
    return Neighbour(peer.decode(), lowest, highest, store.decode(), large, port, found)


def announced(host: str, addresses: Iterable[Address]) -> tuple[str, ...]:
    """The addresses under which others reach what listens on ``host``."""
    usable = [address.ip for address in addresses if address.usable]
    if host in ("0.0.0.0", "::"):  # noqa: S104
        return tuple(ip for ip in usable if (":" in ip) == (":" in host))
    return tuple(ip for ip in usable if ip == host)


def is_this_machine(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``."""
    ip = _parsed(host)
    return host == "localhost" if ip is None else ip.is_loopback


def reachable(addresses: Iterable[str], own: Sequence[Address]) -> tuple[str, ...]:
    """The addresses worth calling, best first: in a network of ours, then other private ones.

    Never one of ours or of the device itself, nor one in the internet: a neighbour that names
    these is mistaken or means harm.
    """
    ours = {address.ip for address in own}
    networks = [ip_interface(f"{address.ip}/{address.prefix}").network for address in own]
    ranked: list[tuple[int, str]] = []
    for text in addresses:
        ip = _parsed(text)
        if ip is None or str(ip).partition("%")[0] in ours:
            continue
        near = any(_plain(ip) in network for network in networks)
        if (near or ip.is_private) and _may_be_called(ip):
            ranked.append((2 * (not near) + (ip.version == 6), str(ip)))
    return tuple(text for _, text in sorted(ranked, key=lambda item: item[0])[:MAX_ADDRESSES])


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _plain(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Without the interface, which a network does not know."""
    return ip_address(str(ip).partition("%")[0])


def _may_be_called(ip: IPv4Address | IPv6Address) -> bool:
    if ip.is_loopback or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return False
    if isinstance(ip, IPv4Address):
        return ip.packed[-1] != 255  # mostly a broadcast address, and never worth the risk
    # A link-local address says nothing without the interface it is on (RFC 4007 section 6).
    return ip.ipv4_mapped is None and (not ip.is_link_local or ip.scope_id is not None)
