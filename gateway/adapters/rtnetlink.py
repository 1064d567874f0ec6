"""The addresses of this device, and when they change: rtnetlink(7) on a plain socket.

A message only says that something changed; what there is now is always asked for. So nothing is
lost when the kernel drops messages, and a flood of them costs one look.
"""

import asyncio
import contextlib
import errno
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from gateway.core.announcement import Address

# linux/rtnetlink.h, linux/netlink.h, linux/if_addr.h, linux/if.h
RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x1, 0x10, 0x100
NLMSG_ERROR, NLMSG_DONE, NLM_F_REQUEST_DUMP = 2, 3, 0x301
RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR = 16, 18, 20, 22
IFA_ADDRESS, IFA_LOCAL = 1, 2
# Not yet, or never, ours: duplicate address detection (RFC 4862 section 5.4).
IFA_F_NOT_OURS = 0x08 | 0x40
IFF_UP, IFF_LOOPBACK, IFF_POINTOPOINT, IFF_RUNNING, IFF_MULTICAST = 0x1, 0x8, 0x10, 0x40, 0x1000
_HEADER, _LINK, _ADDRESS, _ATTRIBUTE = map(struct.Struct, ("=IHHII", "=BxHiII", "=BBBBI", "=HH"))
DUMP_BYTES = 65_536
# A change is over when nothing changed for this long; one that never ends is taken as it is.
QUIET_SECONDS = 0.5
LONGEST_SECONDS = 3.0
# How often to look whether the device slept, or a message was missed.
LOOK_SECONDS = 5.0
# The clock that counts sleep ran ahead by more than this: the device slept.
SLEPT_SECONDS = 2.0


class Network:
    """Satisfies ``Network``."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.setblocking(False)
        self._socket.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
        self._stirred = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._read)
        self._told: Sequence[Address] = ()
        self._slept = _slept()

    def addresses(self) -> Sequence[Address]:
        """See ``Network``."""
        self._told = tuple(own_addresses())
        return self._told

    async def changed(self) -> None:
        """See ``Network``."""
        while not self._differs():
            await self._stir(LOOK_SECONDS)
        began = self._loop.time()
        while await self._stir(QUIET_SECONDS):
            if self._loop.time() - began > LONGEST_SECONDS:
                break
        self._slept = _slept()

    def close(self) -> None:
        """See ``Network``."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _differs(self) -> bool:
        return _slept() - self._slept > SLEPT_SECONDS or tuple(own_addresses()) != self._told

    async def _stir(self, seconds: float) -> bool:
        """Whether the kernel said something within the time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        stirred = self._stirred.is_set()
        self._stirred.clear()
        return stirred

    def _read(self) -> None:
        try:
            self._socket.recv(DUMP_BYTES)
        except OSError as error:
            # Too many at once (ENOBUFS): what was lost is asked for anyway.
            if error.errno not in (errno.ENOBUFS, errno.EAGAIN, errno.EINTR):
                raise
        self._stirred.set()


def _slept() -> float:
    """Seconds this device has slept since it started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


def own_addresses() -> Iterator[Address]:
    """The addresses of this device, those of its loopback too."""
    usable = {
        index: _is_usable(flags)
        for _, _, index, flags, _ in map(_LINK.unpack_from, _dump(RTM_GETLINK, RTM_NEWLINK))
    }
    found = []
    for body in _dump(RTM_GETADDR, RTM_NEWADDR):
        family, prefix, flags, _, index = _ADDRESS.unpack_from(body)
        attributes = dict(_attributes(body[_ADDRESS.size :]))
        # Of a point-to-point link IFA_ADDRESS is the other end.
        packed = attributes.get(IFA_LOCAL, attributes.get(IFA_ADDRESS))
        if packed is not None and family in (socket.AF_INET, socket.AF_INET6):
            is_usable = usable.get(index, False) and not flags & IFA_F_NOT_OURS
            found.append(Address(str(ip_address(packed)), prefix, index, is_usable))
    yield from sorted(found, key=lambda address: (address.index, address.ip))


def _is_usable(flags: int) -> bool:
    needed = IFF_UP | IFF_RUNNING | IFF_MULTICAST
    return flags & needed == needed and not flags & (IFF_LOOPBACK | IFF_POINTOPOINT)


def _dump(request: int, answer: int) -> Iterator[bytes]:
    """The bodies of all the kernel's messages of one kind."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asking:
        asking.bind((0, 0))
        asking.settimeout(1.0)
        body = bytes(_LINK.size)
        header = _HEADER.pack(_HEADER.size + len(body), request, NLM_F_REQUEST_DUMP, 1, 0)
        asking.send(header + body)
        while True:
            data = asking.recv(DUMP_BYTES)
            while len(data) >= _HEADER.size:
                length, kind, _, _, _ = _HEADER.unpack_from(data)
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    return
                if kind == answer:
                    yield data[_HEADER.size : length]
                data = data[_aligned(length) :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[max(_aligned(length), _ATTRIBUTE.size) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3
