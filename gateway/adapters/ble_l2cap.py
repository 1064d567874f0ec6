"""L2CAP channels with credits (Core specification, vol. 3 part A, 4.22 and 10.1), by the kernel.

Python's ``socket`` cannot say that an address is one of LE, and some builds of Python know no
Bluetooth at all; so the address is packed here.
"""

import asyncio
import ctypes
import os
import socket
import struct
from collections import deque
from collections.abc import Callable

# Linux: include/linux/socket.h, include/net/bluetooth/bluetooth.h and l2cap.h.
AF_BLUETOOTH = 31
BTPROTO_L2CAP = 0
SOL_BLUETOOTH = 274
BT_SNDMTU = 12
BT_RCVMTU = 13
BDADDR_LE_PUBLIC = 1
# sockaddr_l2: family, PSM, address, channel id, kind of address; one octet of padding.
SOCKADDR_L2 = struct.Struct("<HH6sHBx")

# The largest packet taken. The kernel gives so many credits as one packet needs, so this is what
# may be under way, too.
PACKET_BYTES = 4_096
# As much the kernel keeps for a phone that takes nothing; what is urgent has to wait for it.
SEND_BUFFER_BYTES = 8_192
# What a phone sent and nobody read; more is left with the phone.
INBOX_BYTES = 512 * 1024
# One that is used, and one that a phone opens in its place.
CHANNELS_OF_PHONE = 2
BACKLOG = 8


class L2capChannel:
    """Satisfies ``Channel``. ``packet_bytes``: the largest the phone takes."""

    def __init__(
        self,
        connection: socket.socket,
        packet_bytes: int,
        closed: Callable[["L2capChannel"], None],
    ) -> None:
        self._socket = connection
        self._packet_bytes = packet_bytes
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._inbox = bytearray()
        self._arrived = asyncio.Event()
        self._outbox: deque[memoryview] = deque()
        self._waiting_bytes = 0
        self._room: Callable[[], None] | None = None
        self._open = True
        self._reading = False
        self._read_on()

    async def recv(self) -> bytes:
        """See ``Channel``."""
        await self._arrived.wait()
        if self._open:
            self._arrived.clear()
        data = bytes(self._inbox)
        self._inbox.clear()
        self._read_on()
        return data

    def send(self, data: bytes) -> None:
        """See ``Channel``."""
        if not self._open or not data:
            return
        self._outbox.append(memoryview(data))
        self._waiting_bytes += len(data)
        if len(self._outbox) == 1:
            self._write()
            if self._outbox:
                self._loop.add_writer(self._socket, self._writable)

    @property
    def waiting_bytes(self) -> int:
        """See ``Channel``."""
        return self._waiting_bytes

    def on_room(self, callback: Callable[[], None]) -> None:
        """See ``Channel``."""
        self._room = callback

    def close(self) -> None:
        """See ``Channel``."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._outbox.clear()
        self._waiting_bytes = 0
        self._arrived.set()
        self._closed(self)

    def _read_on(self) -> None:
        if self._open and not self._reading:
            self._loop.add_reader(self._socket, self._readable)
            self._reading = True

    def _readable(self) -> None:
        try:
            data = self._socket.recv(PACKET_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._inbox += data
        self._arrived.set()
        if len(self._inbox) >= INBOX_BYTES:
            self._loop.remove_reader(self._socket)
            self._reading = False

    def _writable(self) -> None:
        before = self._waiting_bytes
        self._write()
        if self._open and not self._outbox:
            self._loop.remove_writer(self._socket)
        if self._room is not None and self._waiting_bytes < before:
            self._room()

    def _write(self) -> None:
        try:
            while self._outbox:
                packet = self._outbox[0][: self._packet_bytes]
                sent = self._socket.send(packet)
                self._waiting_bytes -= sent
                rest = self._outbox[0][sent:]
                if rest:
                    self._outbox[0] = rest
                else:
                    self._outbox.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self.close()


class L2capListener:
    """Takes channels. ``psm``: where; 0 if the kernel cannot. ``taken``: phone and its channel."""

    def __init__(self, taken: Callable[[str, L2capChannel], None]) -> None:
        self.psm = 0
        self._taken = taken
        self._phones: dict[L2capChannel, str] = {}
        self._loop = asyncio.get_running_loop()
        self._socket = _listening()
        if self._socket is not None:
            self.psm = _psm(self._socket)
            self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Take no more and end all there are."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for channel in tuple(self._phones):
            channel.close()

    def _accept(self) -> None:
        assert self._socket is not None
        try:
            connection, phone, packet_bytes = _accepted(self._socket)
        except OSError:
            # It was gone before it was taken.
            return
        if list(self._phones.values()).count(phone) >= CHANNELS_OF_PHONE:
            connection.close()
            return
        channel = L2capChannel(connection, packet_bytes, self._closed)
        self._phones[channel] = phone
        self._taken(phone, channel)

    def _closed(self, channel: L2capChannel) -> None:
        self._phones.pop(channel, None)


_libc = ctypes.CDLL(None, use_errno=True)


def _listening() -> socket.socket | None:
    try:
        listener = socket.socket(AF_BLUETOOTH, socket.SOCK_SEQPACKET, BTPROTO_L2CAP)
    except OSError:
        # A kernel without Bluetooth.
        return None
    try:
        listener.setblocking(False)
        # PSM 0: the kernel finds a free one.
        place = SOCKADDR_L2.pack(AF_BLUETOOTH, 0, bytes(6), 0, BDADDR_LE_PUBLIC)
        _checked(_libc.bind(listener.fileno(), place, len(place)))
        # What it accepts has the same.
        listener.setsockopt(SOL_BLUETOOTH, BT_RCVMTU, PACKET_BYTES.to_bytes(2, "little"))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        return None
    return listener


def _accepted(listener: socket.socket) -> tuple[socket.socket, str, int]:
    place, size = ctypes.create_string_buffer(SOCKADDR_L2.size), ctypes.c_uint(SOCKADDR_L2.size)
    flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    descriptor = _libc.accept4(listener.fileno(), place, ctypes.byref(size), flags)
    _checked(descriptor)
    kind = (AF_BLUETOOTH, socket.SOCK_SEQPACKET, BTPROTO_L2CAP)
    connection = socket.socket(*kind, fileno=descriptor)
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        packet = connection.getsockopt(SOL_BLUETOOTH, BT_SNDMTU, 2)
    except OSError:
        connection.close()
        raise
    return connection, _unpacked(place.raw)[1], int.from_bytes(packet, "little")


def _psm(listener: socket.socket) -> int:
    place, size = ctypes.create_string_buffer(SOCKADDR_L2.size), ctypes.c_uint(SOCKADDR_L2.size)
    _checked(_libc.getsockname(listener.fileno(), place, ctypes.byref(size)))
    return _unpacked(place.raw)[0]


def _unpacked(place: bytes) -> tuple[int, str]:
    _, psm, address, _, _ = SOCKADDR_L2.unpack(place)
    return psm, ":".join(f"{octet:02X}" for octet in reversed(address))


def _checked(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
