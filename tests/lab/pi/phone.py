"""A phone: an independent Bluetooth stack in the test, which knows nothing of BlueZ."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from bumble.att import ATT_PDU, ATT_RESPONSES
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device, Peer
from bumble.gatt_client import CharacteristicProxy, Client
from bumble.hci import Address, HCI_LE_Advertising_Report_Event
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from tests.lab.pi.air import Air
from tests.lab.pi.channel import Channel
from tests.lab.pi.controller import LabController

# What Android asks for; 512 bytes are the most that a value may have.
MTU = 517

# Another phone may be faster, and the advertisement is gone while it connects.
CONNECT_TRIES = 20
CONNECT_SECONDS = 5.0
FIND_SECONDS = 20.0
ANSWER_SECONDS = 10.0
LEAVE_SECONDS = 3.0

Report = HCI_LE_Advertising_Report_Event.Report


@dataclass(frozen=True)
class Found:
    """What a phone heard of somebody: the advertisement, and the answer to its scan request."""

    address: Address
    data: AdvertisingData
    scan_response: AdvertisingData


class Phone:
    """``async with Phone(air, 1) as phone``; numbers from 1 to 99, one each."""

    def __init__(self, air: Air, number: int) -> None:
        self.name = f"phone{number}"
        controller = LabController(self.name, air, f"00:00:00:AA:AA:{number:02}")
        host = Host(controller, AsyncPipeSink(controller))
        # The two highest bits make it a static random address, which is what phones show.
        self.device = Device(
            name=self.name, address=Address(f"F0:F1:F2:F3:F4:{number:02}"), host=host
        )
        self.controller = controller
        self._air = air
        self._connection: Connection | None = None
        self._calling: asyncio.Task[Connection] | None = None
        self._leaving: asyncio.Task[None] | None = None
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

    async def find(
        self,
        service: str,
        seconds: float = FIND_SECONDS,
        accepts: Callable[[Found], bool] = lambda found: True,
    ) -> Found:
        """The first who advertises a service and answers the scan request, by active scanning.

        ``accepts`` says who it may be.
        """
        seen: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        heard: dict[Address, AdvertisingData] = {}

        def look(report: Report) -> None:
            data = AdvertisingData.from_bytes(report.data)
            if report.event_type != HCI_LE_Advertising_Report_Event.EventType.SCAN_RSP:
                if UUID(service) in services(data):
                    heard[report.address] = data
            elif report.address in heard and not seen.done():
                found = Found(report.address, heard[report.address], data)
                if accepts(found):
                    seen.set_result(found)

        self.device.host.on("advertising_report", look)
        await self.device.start_scanning()
        try:
            async with asyncio.timeout(seconds):
                return await seen
        except TimeoutError:
            raise AssertionError(f"{self.name} hears nobody who offers {service}") from None
        finally:
            await self.device.stop_scanning()
            self.device.host.remove_listener("advertising_report", look)

    async def connect(self, address: Address, mtu: int = MTU) -> int:
        """Link, agree on an MTU of that much at most and learn what is there; returns the MTU."""
        # BlueZ asks as well, in its own role as a client.
        self.device.gatt_server.max_mtu = mtu
        for _ in range(CONNECT_TRIES):
            trying = await self._within(ANSWER_SECONDS, self._connect(address, mtu))
            if not trying.cancelled() and trying.exception() is None:
                agreed: int = trying.result()
                return agreed
            await self.disconnect()
        raise AssertionError(f"{self.name} cannot connect to {address}")

    async def _connect(self, address: Address, mtu: int) -> int:
        self._calling = asyncio.create_task(self.device.connect(address, timeout=CONNECT_SECONDS))
        connection = await asyncio.shield(self._calling)
        # Another phone was faster: the link is gone again before anything was said.
        if connection.handle not in self.device.connections:
            raise ConnectionError(f"{address} did not answer")
        self._connection = connection
        peer = Peer(self._connection)
        _forgive_doubles(peer.gatt_client)
        agreed = await peer.request_mtu(mtu)
        await peer.discover_services()
        found = await peer.discover_characteristics()
        self._found = {characteristic.uuid: characteristic for characteristic in found}
        return agreed

    @property
    def connected(self) -> bool:
        """Whether the phone believes that it has a link."""
        return self._connection is not None and bool(self.device.connections)

    async def disconnect(self) -> None:
        """Let the link go, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None and self.device.connections:
            await connection.disconnect()

    async def leave(self) -> None:
        """Have no link, whatever became of it and however long the other end takes to hear it."""
        # bumble does not survive that a command is cancelled, so this ends by itself.
        if self._leaving is None or self._leaving.done():
            self._leaving = asyncio.create_task(self._leave())
        await asyncio.wait({self._leaving})

    async def _leave(self) -> None:
        if self._calling is not None:
            await asyncio.wait({self._calling})
            if not self._calling.cancelled() and self._calling.exception() is None:
                self._connection = self._calling.result()
            self._calling = None
        await self._within(LEAVE_SECONDS, self.disconnect())

    @staticmethod
    async def _within(seconds: float, work: Coroutine[None, None, Any]) -> "asyncio.Task[Any]":
        """Do it in a task that ends with this, as bumble cancels what a lost link waits for."""
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task}, timeout=seconds)
        finally:
            task.cancel()
        await asyncio.wait({task})
        return task

    def on_lost(self, lost: Callable[[], None]) -> None:
        """Call this once the link there is now is lost, which may be so already."""
        connection = self._connection
        if connection is None or connection.handle not in self.device.connections:
            lost()
        else:
            connection.on(connection.EVENT_DISCONNECTION, lambda _: lost())

    async def subscribe(self, characteristic: str) -> None:
        """Ask for notifications; ``notified`` brings them."""
        queue = self._heard[characteristic] = asyncio.Queue()
        await self.listen(characteristic, queue.put_nowait)

    async def learn(self, characteristic: str) -> None:
        """Learn the descriptors of a characteristic, which ``listen`` does else."""
        found = self._found[UUID(characteristic)]
        await found.discover_descriptors()
        # bumble would ask again.
        found.descriptors_discovered = True

    async def listen(self, characteristic: str, heard: Callable[[bytes], object]) -> None:
        """Ask for notifications; ``heard`` is called with each."""
        await self._found[UUID(characteristic)].subscribe(heard)

    async def unsubscribe(self, characteristic: str) -> None:
        """Ask for no more notifications, whoever listened."""
        await self._found[UUID(characteristic)].unsubscribe(force=True)

    async def notified(self, characteristic: str, seconds: float = ANSWER_SECONDS) -> bytes:
        """The next notification that was not asked for yet."""
        async with asyncio.timeout(seconds):
            return await self._heard[characteristic].get()

    async def write(self, characteristic: str, value: bytes, *, answered: bool = True) -> None:
        """Write a value, by a request that is answered or by a command that is not.

        An answered one that is longer than the MTU goes in parts (prepared writes).
        """
        await self._found[UUID(characteristic)].write_value(value, with_response=answered)

    async def read(self, characteristic: str) -> bytes:
        """The value of a characteristic."""
        return await self._found[UUID(characteristic)].read_value()

    def handle(self, characteristic: str) -> int:
        """Where a characteristic is, for requests by hand."""
        return self._found[UUID(characteristic)].handle

    async def open(self, psm: int) -> Channel:
        """An L2CAP channel to a PSM of whom the phone is linked to."""
        assert self._connection is not None, f"{self.name} has no link"
        return await Channel.open(self._connection, psm)


def _forgive_doubles(client: Client) -> None:
    """Let an answer come twice, as the air may be told to; bumble's future takes only one."""
    take = client.on_gatt_pdu

    def heard(pdu: ATT_PDU) -> None:
        pending = client.pending_response
        if pdu.op_code not in ATT_RESPONSES or pending is None or not pending.done():
            take(pdu)

    client.on_gatt_pdu = heard  # type: ignore[method-assign, assignment]


def services(data: AdvertisingData) -> list[UUID]:
    """The services that an advertisement names."""
    found: list[UUID] = []
    for kind in (
        AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
        AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    ):
        for value in data.get_all(kind):
            found.extend(value)
    return found
