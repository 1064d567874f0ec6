"""The phone's side of guest/bare.py: how fast packets go with next to nothing above the radio."""

import asyncio
import struct
import time

from tests.lab.pi.phone import Phone

SERVICE = "5d5a0011-9f3c-4c51-8f53-6c61622e7069"
RX = "5d5a0012-9f3c-4c51-8f53-6c61622e7069"
TX = "5d5a0013-9f3c-4c51-8f53-6c61622e7069"
# Free for anybody (Core specification, vol. 3 part A, 4.22).
PSM = 0x81

# As docs/bluetooth.md has it.
WINDOW, GRANT = 16, 8
# What BlueZ takes and gives in one (docs/lab.md); a packet of the phone's channel.
WRITE_BYTES, NOTIFY_BYTES, CHANNEL_BYTES = 510, 512, 2_048
TAKEN = b"\x01"
LIMIT_SECONDS = 60.0


class Bare:
    """A phone that is connected to it; what moves something gives bytes a second."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def start(self) -> None:
        """Subscribe; the first write is answered before another one, or BlueZ would garble it."""
        await self._phone.listen(TX, self._heard.put_nowait)
        await self.gatt_up(1)

    async def moved(self, way: str, direction: str, size: int) -> float:
        """About so many bytes, by ``gatt`` or by a ``channel``, ``up`` or ``down``."""
        if way == "channel":
            return await self.channel(size // CHANNEL_BYTES, up=direction == "up")
        packets = size // WRITE_BYTES // GRANT * GRANT
        return await (self.gatt_up if direction == "up" else self.gatt_down)(packets)

    async def gatt_up(self, packets: int) -> float:
        """By writes."""
        await self._ask(b"U", packets)
        await self._next()
        began, window = time.monotonic(), WINDOW
        for _ in range(packets):
            if not window:
                await self._next()
                window += GRANT
            window -= 1
            await self._phone.write(RX, bytes(WRITE_BYTES), answered=False)
        while window < WINDOW:
            await self._next()
            window += GRANT
        return packets * WRITE_BYTES / (time.monotonic() - began)

    async def gatt_down(self, packets: int) -> float:
        """By notifications."""
        began = time.monotonic()
        await self._ask(b"D", packets)
        for number in range(1, packets + 1):
            await self._next()
            if number % GRANT == 0:
                await self._phone.write(RX, TAKEN, answered=False)
        return packets * NOTIFY_BYTES / (time.monotonic() - began)

    async def channel(self, packets: int, *, up: bool) -> float:
        """By a channel, which carries whole packets."""
        channel = await self._phone.open(PSM)
        began = time.monotonic()
        await channel.write(struct.pack("<cH", b"U" if up else b"D", packets))
        if up:
            for _ in range(packets):
                await channel.write(bytes(CHANNEL_BYTES))
        else:
            for _ in range(packets):
                await channel.read()
        assert await channel.read() == TAKEN
        rate = packets * CHANNEL_BYTES / (time.monotonic() - began)
        await channel.close()
        return rate

    async def _ask(self, what: bytes, packets: int) -> None:
        await self._phone.write(RX, struct.pack("<cH", what, packets), answered=False)

    async def _next(self) -> bytes:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await self._heard.get()
