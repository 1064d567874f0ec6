"""Two independent hosts over the air, without a kernel: what its faults do to a link."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bumble.core import UUID, AdvertisingData
from bumble.device import AdvertisingType, Device
from bumble.gatt import Characteristic, Service
from bumble.hci import Address, OwnAddressType
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from tests.lab.pi.air import Air
from tests.lab.pi.controller import ACL_PACKETS, LabController
from tests.lab.pi.phone import ANSWER_SECONDS, MTU, Phone
from tests.lab.pi.radio import Conditions

SERVICE = "5d5a0001-9f3c-4c51-8f53-6c61622e7069"
RX = "5d5a0002-9f3c-4c51-8f53-6c61622e7069"
TX = "5d5a0003-9f3c-4c51-8f53-6c61622e7069"

# Bytes a second of the slow link, and so many writes that it takes half a second.
RATE = 20_000.0
WRITES = 20
VALUE = bytes(500)

# Later than a new link is made.
LATE = 1.0


class Peripheral:
    """What the Pi is to a phone: advertised by its public address, it notifies what it gets."""

    def __init__(self, air: Air) -> None:
        self.controller = LabController("pi", air, "00:00:00:BB:BB:01")
        host = Host(self.controller, AsyncPipeSink(self.controller))
        self.device = Device(name="pi", host=host, address=Address("F0:00:00:00:00:01"))
        self.tx = Characteristic[bytes](
            TX, Characteristic.Properties.NOTIFY, Characteristic.READABLE
        )
        rx = Characteristic[bytes](
            RX,
            Characteristic.Properties.WRITE | Characteristic.Properties.WRITE_WITHOUT_RESPONSE,
            Characteristic.WRITEABLE,
        )
        rx.on("write", self._echo)
        # An advertisement ends with a connection, as in BlueZ.
        self.device.on("connection", self._again)
        self.device.add_service(Service(SERVICE, [rx, self.tx]))

    def _echo(self, connection: object, value: bytes) -> None:
        self.notifying = asyncio.create_task(self.device.notify_subscribers(self.tx, value=value))

    def _again(self, connection: object) -> None:
        self.advertising = asyncio.create_task(self.advertise())

    async def advertise(self) -> None:
        """Until somebody connects."""
        kind = AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS
        await self.device.start_advertising(
            advertising_type=AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE,
            own_address_type=OwnAddressType.PUBLIC,
            advertising_data=bytes(AdvertisingData([(kind, bytes(UUID(SERVICE)))])),
            advertising_interval_min=20.0,
            advertising_interval_max=20.0,
        )


@asynccontextmanager
async def linked(air: Air) -> AsyncIterator[Phone]:
    """A phone that is subscribed to the peripheral."""
    peripheral = Peripheral(air)
    await peripheral.device.power_on()
    await peripheral.advertise()
    async with Phone(air, 1) as phone:
        assert await phone.connect((await phone.find(SERVICE)).address) == MTU
        await phone.subscribe(TX)
        yield phone
    await peripheral.device.power_off()


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run it, for half a minute at most."""

    async def bounded() -> None:
        await asyncio.wait_for(main, 30.0)

    asyncio.run(bounded())


def test_what_is_written_comes_back_whole() -> None:
    async def main() -> None:
        async with linked(Air()) as phone:
            await phone.write(RX, b"hello")
            assert await phone.notified(TX) == b"hello"
            await phone.write(RX, VALUE, answered=False)
            assert await phone.notified(TX) == VALUE

    run(main())


def test_what_is_lost_never_comes_and_what_is_doubled_comes_twice() -> None:
    async def main() -> None:
        air = Air()
        async with linked(air) as phone:
            air.weather("phone1", Conditions(loss=1.0))
            await phone.write(RX, b"lost", answered=False)
            # The packet is given to the air in a later turn of the loop.
            with pytest.raises(TimeoutError):
                await phone.notified(TX, seconds=0.1)
            air.weather("phone1", Conditions(duplicates=1.0))
            await phone.write(RX, b"twice", answered=False)
            # Two of it arrive, and each notification of them comes twice.
            assert [await phone.notified(TX) for _ in range(4)] == [b"twice"] * 4

    run(main())


def test_a_slow_link_takes_its_time_and_the_host_waits_for_it() -> None:
    async def main() -> None:
        air = Air()
        async with linked(air) as phone:
            air.weather("phone1", Conditions(rate=RATE))
            loop = asyncio.get_running_loop()
            began = loop.time()
            for _ in range(WRITES):
                await phone.write(RX, VALUE, answered=False)
            await asyncio.sleep(0.01)
            (connection,) = phone.controller.le_connections.values()
            # No more is given to the air than the controller's packets hold.
            assert air.free_at(connection) - loop.time() <= ACL_PACKETS * len(VALUE) / RATE
            for _ in range(WRITES):
                assert await phone.notified(TX) == VALUE
            assert loop.time() - began >= WRITES * len(VALUE) / RATE

    run(main())


def test_a_link_that_is_cut_times_out_at_both_ends_and_can_be_made_anew() -> None:
    async def main() -> None:
        air = Air()
        async with linked(air) as phone:
            air.weather("phone1", Conditions(delay=LATE))
            await phone.write(RX, b"on its way", answered=False)
            await asyncio.sleep(0.05)
            air.cut("phone1")
            assert not any(end.le_connections for end in air.controllers)
            with pytest.raises(AssertionError, match="hears nobody"):
                await phone.find(SERVICE, seconds=0.1)
            air.mend("phone1")
            air.weather("phone1", Conditions())
            await phone.connect((await phone.find(SERVICE)).address)
            await phone.subscribe(TX)
            # What was in the air belongs to the link that is gone.
            await asyncio.sleep(LATE)
            await phone.write(RX, b"anew")
            assert await phone.notified(TX) == b"anew"

    run(main())


def test_of_two_phones_that_call_at_once_both_get_a_link() -> None:
    async def main() -> None:
        air = Air()
        peripheral = Peripheral(air)
        await peripheral.device.power_on()
        await peripheral.advertise()
        async with Phone(air, 1) as one, Phone(air, 2) as two:
            address = (await one.find(SERVICE)).address
            # One advertisement is for one of them; the other is not left with half a link.
            # Told so at once: not after the time that an answer may take.
            async with asyncio.timeout(ANSWER_SECONDS / 2):
                mtus = await asyncio.gather(one.connect(address), two.connect(address))
            assert set(mtus) == {MTU}
            assert len(peripheral.controller.le_connections) == 2
            assert one.connected and two.connected

    run(main())
