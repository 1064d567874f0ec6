"""L2CAP channels over a pair of local sockets that keep packets, as L2CAP's do.

Those of a real kernel are in tests/lab/pi/test_ble.py.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.adapters.ble_l2cap import (
    INBOX_BYTES,
    PACKET_BYTES,
    SOCKADDR_L2,
    L2capChannel,
    L2capListener,
    _unpacked,
)

SECONDS = 10.0


@contextmanager
def opened(closed: list[L2capChannel]) -> Iterator[tuple[L2capChannel, socket.socket]]:
    """A channel whose packets have 100 bytes, and the phone's end of it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    channel = L2capChannel(ours, 100, closed.append)
    try:
        yield channel, theirs
    finally:
        channel.close()
        theirs.close()


def test_packets_that_arrive_are_read_as_a_stream() -> None:
    async def main() -> None:
        with opened([]) as (channel, phone):
            phone.send(b"one")
            assert await channel.recv() == b"one"
            reading = asyncio.create_task(channel.recv())
            await asyncio.sleep(0)
            phone.send(b"two")
            assert await asyncio.wait_for(reading, SECONDS) == b"two"

    asyncio.run(main())


def test_what_is_sent_is_cut_into_packets_the_phone_takes() -> None:
    async def main() -> None:
        with opened([]) as (channel, phone):
            channel.send(b"")
            channel.send(bytes(250))
            assert [len(phone.recv(1000)) for _ in range(3)] == [100, 100, 50]
            assert channel.waiting_bytes == 0

    asyncio.run(main())


def test_what_finds_no_room_waits_and_goes_in_order() -> None:
    async def main() -> None:
        with opened([]) as (channel, phone):
            rooms: list[int] = []
            channel.on_room(lambda: rooms.append(channel.waiting_bytes))
            data = b"".join(number.to_bytes(4, "big") for number in range(50_000))
            for start in range(0, len(data), 1000):
                channel.send(data[start : start + 1000])
            waiting = channel.waiting_bytes
            assert 0 < waiting < len(data)
            assert not rooms
            heard = bytearray()
            while len(heard) < len(data):
                try:
                    heard += phone.recv(1000)
                except BlockingIOError:
                    await asyncio.sleep(0)
            assert heard == data
            assert channel.waiting_bytes == 0
            assert rooms[-1] == 0
            assert rooms == sorted(rooms, reverse=True)

    asyncio.run(main())


def test_a_phone_that_sends_more_than_is_read_is_held_back() -> None:
    async def main() -> None:
        with opened([]) as (channel, phone):
            sent = await flooded(phone)
            assert INBOX_BYTES <= sent < 2 * INBOX_BYTES
            got = 0
            while got < sent:
                got += len(await asyncio.wait_for(channel.recv(), SECONDS))
            assert await flooded(phone) > 0

    async def flooded(phone: socket.socket) -> int:
        sent, refused = 0, 0
        while refused < 100:
            try:
                sent += phone.send(bytes(PACKET_BYTES))
                refused = 0
            except BlockingIOError:
                refused += 1
                await asyncio.sleep(0)
        return sent

    asyncio.run(main())


def test_a_phone_that_closes_ends_the_channel_behind_what_it_sent() -> None:
    async def main() -> None:
        closed: list[L2capChannel] = []
        with opened(closed) as (channel, phone):
            phone.send(b"last")
            phone.close()
            assert await asyncio.wait_for(channel.recv(), SECONDS) == b"last"
            assert await asyncio.wait_for(channel.recv(), SECONDS) == b""
            assert await channel.recv() == b""
            assert closed == [channel]
            channel.send(b"nobody hears this")
            assert channel.waiting_bytes == 0

    asyncio.run(main())


def test_closing_drops_what_waits_and_wakes_who_reads() -> None:
    async def main() -> None:
        closed: list[L2capChannel] = []
        with opened(closed) as (channel, _):
            for _ in range(2_000):
                channel.send(bytes(100))
            assert channel.waiting_bytes
            reading = asyncio.create_task(channel.recv())
            await asyncio.sleep(0)
            channel.close()
            channel.close()
            assert await asyncio.wait_for(reading, SECONDS) == b""
            assert (channel.waiting_bytes, closed) == (0, [channel])

    asyncio.run(main())


def test_a_phone_that_is_gone_is_found_out_by_sending() -> None:
    async def main() -> None:
        closed: list[L2capChannel] = []
        with opened(closed) as (channel, phone):
            phone.close()
            channel.send(b"hello")
            assert closed == [channel]

    asyncio.run(main())


def test_a_kernel_without_bluetooth_takes_no_channels() -> None:
    async def main() -> None:
        listener = L2capListener(lambda *_: None)
        # Some machines that run this have it.
        assert listener.psm == 0 or 0x80 <= listener.psm <= 0xFF
        listener.close()
        listener.close()

    asyncio.run(main())


def test_an_address_is_read_from_its_end() -> None:
    packed = SOCKADDR_L2.pack(31, 0x85, bytes.fromhex("010203040506"), 0, 2)
    assert len(packed) == 14
    assert _unpacked(packed) == (0x85, "06:05:04:03:02:01")
