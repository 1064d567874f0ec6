"""A phone: an independent Bluetooth stack in the test, which knows nothing of BlueZ."""

import asyncio
from types import TracebackType
from typing import Self

from bumble.core import UUID, AdvertisingData
from bumble.device import Advertisement, Connection, Device, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.hci import Address
from bumble.host import Host
from bumble.l2cap import LeCreditBasedChannel, LeCreditBasedChannelSpec
from bumble.transport.common import AsyncPipeSink

from tests.lab.pi.air import Air, LabController

# What Android asks for; 512 bytes are the most that a value may have.
MTU = 517
LEAST_MTU = 23

# What a phone takes by an L2CAP channel at a time, and how often before it says that it may go on.
CHANNEL_BYTES = 2048
CHANNEL_CREDITS = 20

# Another phone may be faster, and the advertisement is gone while it connects.
CONNECT_TRIES = 20
CONNECT_SECONDS = 5.0
FIND_SECONDS = 20.0
ANSWER_SECONDS = 10.0


class Phone:
    """``async with Phone(air, 1) as phone``; numbers from 1 to 99, one each.

    ``mtu``: what it asks for; 23, the least there is, is what it does not ask for.
    """

    def __init__(self, air: Air, number: int, mtu: int = MTU) -> None:
        self.name = f"phone{number}"
        self._mtu = mtu
        controller = LabController(self.name, air, f"00:00:00:AA:AA:{number:02}")
        host = Host(controller, AsyncPipeSink(controller))
        # The two highest bits make it a static random address, which is what phones show.
        self.device = Device(
            name=self.name, address=Address(f"F0:F1:F2:F3:F4:{number:02}"), host=host
        )
        # BlueZ asks, too.
        self.device.gatt_server.max_mtu = mtu
        self.controller = controller
        self._air = air
        self._connection: Connection | None = None
        self._found: dict[UUID, CharacteristicProxy[bytes]] = {}
        self._heard: dict[str, asyncio.Queue[bytes]] = {}

    async def __aenter__(self) -> Self:
        await self.device.power_on()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.disconnect()
        await self.device.power_off()
        self._air.remove_controller(self.controller)

    async def find(self, service: str, seconds: float = FIND_SECONDS) -> Advertisement:
        """The first advertisement that names a service."""
        seen: asyncio.Future[Advertisement] = asyncio.get_running_loop().create_future()

        def look(advertisement: Advertisement) -> None:
            if UUID(service) in services(advertisement) and not seen.done():
                seen.set_result(advertisement)

        self.device.on("advertisement", look)
        await self.device.start_scanning()
        try:
            return await asyncio.wait_for(seen, seconds)
        except TimeoutError:
            raise AssertionError(f"{self.name} hears nobody who offers {service}") from None
        finally:
            await self.device.stop_scanning()
            self.device.remove_listener("advertisement", look)

    async def connect(self, address: Address) -> int:
        """Link, agree on the MTU and learn what is there; returns the MTU."""
        for _ in range(CONNECT_TRIES):
            # bumble cancels what waits for an answer when a link is lost, so it gets its own task.
            trying = asyncio.create_task(self._connect(address))
            done, _ = await asyncio.wait({trying}, timeout=ANSWER_SECONDS)
            if done and not trying.cancelled() and trying.exception() is None:
                return trying.result()
            trying.cancel()
            await self.disconnect()
        raise AssertionError(f"{self.name} cannot connect to {address}")

    async def _connect(self, address: Address) -> int:
        connection = await self.device.connect(address, timeout=CONNECT_SECONDS)
        # Another phone was faster: the link is gone again before anything was said.
        if connection.handle not in self.device.connections:
            raise ConnectionError(f"{address} did not answer")
        self._connection = connection
        peer = Peer(self._connection)
        mtu = await peer.request_mtu(self._mtu) if self._mtu > LEAST_MTU else LEAST_MTU
        await peer.discover_services()
        found = await peer.discover_characteristics()
        self._found = {characteristic.uuid: characteristic for characteristic in found}
        return mtu

    @property
    def connected(self) -> bool:
        """Whether the phone believes that it has a link."""
        return self._connection is not None and bool(self.device.connections)

    async def disconnect(self) -> None:
        """Let the link go, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None and self.device.connections:
            await connection.disconnect()

    async def subscribe(self, characteristic: str) -> None:
        """Ask for notifications; ``notified`` brings them."""
        queue = self._heard[characteristic] = asyncio.Queue()
        await self._found[UUID(characteristic)].subscribe(queue.put_nowait)

    async def notified(self, characteristic: str, seconds: float = ANSWER_SECONDS) -> bytes:
        """The next notification that was not asked for yet."""
        return await asyncio.wait_for(self._heard[characteristic].get(), seconds)

    async def write(self, characteristic: str, value: bytes, *, answered: bool = True) -> None:
        """Write a value, by a request that is answered or by a command that is not."""
        await self._found[UUID(characteristic)].write_value(value, with_response=answered)

    async def channel(self, psm: int) -> LeCreditBasedChannel:
        """Open an L2CAP channel; ``channel.sink`` is called with what comes by it."""
        assert self._connection is not None
        spec = LeCreditBasedChannelSpec(psm=psm, mtu=CHANNEL_BYTES, max_credits=CHANNEL_CREDITS)
        return await self._connection.create_l2cap_channel(spec)

    async def read(self, characteristic: str) -> bytes:
        """The value of a characteristic."""
        return await self._found[UUID(characteristic)].read_value()


def services(advertisement: Advertisement) -> list[UUID]:
    """The services an advertisement names."""
    found: list[UUID] = []
    for kind in (
        AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
        AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    ):
        for value in advertisement.data.get_all(kind):
            found.extend(value)
    return found
