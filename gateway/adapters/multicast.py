"""Asks in each network who is a gateway, by hand: multicast DNS on plain sockets (RFC 6762).

``mdns`` finds neighbours; this finds out whether multicast comes through, so it listens on one
interface at a time and tells its own question from the answers.
"""

import re
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress

from gateway.core.announcement import Address
from gateway.core.diagnosis import Asked

PORT = 5353
GROUP4, GROUP6 = "224.0.0.251", "ff02::fb"
# Asked once more after this long: a packet may be lost, or an answer held back because it was
# given within the last second (RFC 6762 section 6).
AGAIN_SECONDS = 1.1
LISTEN_SECONDS = 2.5
MAX_PACKET_BYTES = 9_000
# Not in the socket module; linux/in.h: only groups that this socket joined itself.
IP_MULTICAST_ALL = 49
SERVICE = b"\x0e_store-gateway\x04_tcp\x05local\x00"
# One question: PTR, IN. The id must be 0 (RFC 6762 section 18.1).
QUESTION = struct.pack("!6H", 0, 0, 1, 0, 0, 0) + SERVICE + struct.pack("!2H", 12, 1)
IS_ANSWER = 0x80
# The label of an instance is its peer id.
_PEER = re.compile(rb"\x20([0-9a-f]{32})")


def ask_everywhere(addresses: Sequence[Address], seconds: float = LISTEN_SECONDS) -> list[Asked]:
    """Ask on each interface that can multicast, and listen for some seconds."""
    heard: dict[str, tuple[bool, set[str]]] = {}
    with ExitStack() as stack:
        asking: dict[socket.socket, Address] = {}
        for own in _interfaces(addresses):
            heard[own.ip] = False, set()
            with suppress(OSError):
                asking[stack.enter_context(_socket(own))] = own
        end, again = time.monotonic() + seconds, time.monotonic()
        while (now := time.monotonic()) < end:
            if now >= again:
                again += AGAIN_SECONDS
                for link, own in asking.items():
                    _ask(link, own)
            for link in select.select(list(asking), [], [], min(end, again) - now)[0]:
                data = link.recv(MAX_PACKET_BYTES)
                echoed, peers = heard[asking[link].ip]
                heard[asking[link].ip] = echoed or data == QUESTION, peers | _answered(data)
    return [Asked(ip, echoed, frozenset(peers)) for ip, (echoed, peers) in heard.items()]


def _interfaces(addresses: Sequence[Address]) -> Iterator[Address]:
    """One address of each interface, of IPv4 if it has one."""
    usable = [own for own in addresses if own.usable]
    chosen: dict[int, Address] = {}
    for own in sorted(usable, key=lambda own: ":" in own.ip):
        chosen.setdefault(own.index, own)
    yield from chosen.values()


def _socket(own: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in own.ip else socket.AF_INET
    link = socket.socket(family, socket.SOCK_DGRAM)
    try:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET:
            _join4(link, own)
        else:
            _join6(link, own)
    except OSError:
        link.close()
        raise
    return link


def _join4(link: socket.socket, own: Address) -> None:
    ip = socket.inet_aton(own.ip)
    link.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
    link.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    link.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, ip)
    link.bind((GROUP4, PORT))
    link.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP4) + ip)


def _join6(link: socket.socket, own: Address) -> None:
    group = socket.inet_pton(socket.AF_INET6, GROUP6)
    link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, own.index)
    link.bind((GROUP6, PORT, 0, own.index))
    member = group + struct.pack("@I", own.index)
    link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)


def _ask(link: socket.socket, own: Address) -> None:
    # What cannot be sent is not heard either.
    with suppress(OSError):
        if link.family == socket.AF_INET:
            link.sendto(QUESTION, (GROUP4, PORT))
        else:
            link.sendto(QUESTION, (GROUP6, PORT, 0, own.index))


def _answered(data: bytes) -> set[str]:
    if len(data) < 12 or not data[2] & IS_ANSWER or SERVICE[:-1] not in data:
        return set()
    return {match.decode() for match in _PEER.findall(data)}
