"""Phones that mean no good: what anybody in reach can do without a ticket."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from typing import Self

from bumble.att import ATT_Exchange_MTU_Request, ATT_Prepare_Write_Request
from bumble.hci import Address

from gateway.core.opening import INFO, RX, TX, VERSION, Info, Opener, read_info
from gateway.core.segments import START, WINDOW
from gateway.core.varint import write_varint
from tests.lab.pi.air import Air
from tests.lab.pi.phone import Phone

# A deed that fails at once is not tried faster than this.
PAUSE_SECONDS = 0.05
# Of one write, and of a value that needs several.
WHOLE, LONG = 200, 500
# Who ends waits as long, so that nothing is under way when it goes.
CALM_SECONDS = 0.5
# A read takes about so long.
HALF_SECONDS = 0.03
# So many writes are made before the phone waits for something.
BURST = 20


class Stranger(Phone):
    """Connects again and again, and does its deed while it is connected."""

    def __init__(self, air: Air, number: int, deed: "Deed", address: Address) -> None:
        super().__init__(air, number)
        self.deeds = self.connections = 0
        self.random = random.Random(number)
        self.deed = deed
        self._address = address
        self.info: Info
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> Self:
        """Begin, until ``rest``."""
        self._task = asyncio.create_task(self._go_on())
        return self

    async def rest(self) -> None:
        """End."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _go_on(self) -> None:
        while True:
            # bumble cancels what waits for an answer when the link is lost.
            task = asyncio.create_task(self._visit())
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
                await asyncio.wait({task})
                await asyncio.sleep(CALM_SECONDS)
                await self.leave()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _visit(self) -> None:
        await self._connect(self._address, 517)
        self.connections += 1
        self.info = read_info(await self.read(INFO))
        while self.connected:
            await self.deed(self)
            self.deeds += 1
            await asyncio.sleep(PAUSE_SECONDS)

    async def opened(self) -> None:
        """Open a link, or write as if."""
        await self.listen(TX[max(self.info.place, 1) - 1], lambda value: None)
        await self.write(RX, Opener(VERSION, os.urandom(4), 200).encoded(), answered=False)

    async def ask(self, *requests: "Request") -> None:
        """Requests of the attribute protocol by hand; errors are answers, too."""
        assert self._connection is not None
        for request in requests:
            await self._connection.gatt_client.send_request(request)

    @property
    def rx(self) -> int:
        """Where to write."""
        return self.handle(RX)


Deed = Callable[[Stranger], Awaitable[None]]
Request = ATT_Exchange_MTU_Request | ATT_Prepare_Write_Request


async def silence(it: Stranger) -> None:
    """Says nothing."""
    await asyncio.sleep(1.0)


async def junk(it: Stranger) -> None:
    """Writes what means nothing, in every size."""
    for number in range(BURST):
        value = it.random.randbytes(it.random.randrange(1, WHOLE))
        await it.write(RX, value, answered=not number)


async def openers(it: Stranger) -> None:
    """Opens links for ever."""
    for _ in range(BURST):
        await it.opened()


async def halves(it: Stranger) -> None:
    """Begins messages and does not end them."""
    await it.opened()
    await it.write(RX, bytes([START]) + write_varint(4_000) + bytes(WHOLE), answered=False)
    await asyncio.sleep(0.5)


async def beyond_credits(it: Stranger) -> None:
    """Sends more than it may."""
    await it.opened()
    await it.write(RX, bytes([START]) + write_varint(4_000) + bytes(50), answered=False)
    for number in range(1, 2 * WINDOW):
        await it.write(RX, bytes([number & 0x1F]) + bytes(100), answered=False)


async def long_writes(it: Stranger) -> None:
    """Prepares writes, and never or always executes them."""
    for place in range(0, LONG, 100):
        await it.ask(ATT_Prepare_Write_Request(
            attribute_handle=it.rx, value_offset=place, part_attribute_value=bytes(100)
        ))  # fmt: skip


async def sizes(it: Stranger) -> None:
    """Asks for another size of packets each time."""
    await it.ask(ATT_Exchange_MTU_Request(client_rx_mtu=it.random.choice((0, 23, 64, 517, 65535))))


async def listens(it: Stranger) -> None:
    """Wants to hear what is for others."""
    for characteristic in TX:
        await it.listen(characteristic, lambda value: None)


async def pairs(it: Stranger) -> None:
    """Asks for Bluetooth's own pairing."""
    assert it._connection is not None
    try:
        async with asyncio.timeout(2.0):
            await it._connection.pair()
    except Exception:  # noqa: BLE001 - however it is refused
        await asyncio.sleep(PAUSE_SECONDS)


async def channels(it: Stranger) -> None:
    """Opens channels that say nothing."""
    opened = [await it.open(it.info.psm) for _ in range(3)]
    await asyncio.sleep(0.5)
    await opened[0].write(b"\x00" + bytes(100))


async def half_reads(it: Stranger) -> None:
    """Goes while it reads."""
    reading = asyncio.ensure_future(it.read(INFO))
    await asyncio.sleep(it.random.random() * HALF_SECONDS)
    await it.disconnect()
    reading.cancel()


async def leaves(it: Stranger) -> None:
    """Goes in the middle of whatever it does."""
    doing = asyncio.ensure_future(it.random.choice((openers, listens, channels, junk))(it))
    await asyncio.wait({doing}, timeout=it.random.random() / 2)
    await it.disconnect()
    doing.cancel()


# What eight of them do at once. Who goes in the middle of something ends BlueZ's daemon by that:
# docs/limits.md.
CROWDS: dict[str, tuple[Deed, ...]] = {
    "silence": (silence,) * 8,
    "talk": (junk, openers, halves, beyond_credits, long_writes, sizes, listens, junk),
    "noise": (pairs, channels, pairs, channels, openers, junk, halves, listens),
}
