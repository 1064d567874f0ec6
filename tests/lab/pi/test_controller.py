"""Two hosts over the air, without a kernel: advertisements of each kind, and scan responses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bumble.core import UUID, AdvertisingData
from bumble.device import AdvertisingType, Device
from bumble.hci import Address, HCI_LE_Advertising_Report_Event, OwnAddressType
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from tests.lab.pi.air import Air
from tests.lab.pi.controller import LabController
from tests.lab.pi.phone import Phone, Report
from tests.lab.pi.radio import Conditions

SERVICE = "5d5a0001-9f3c-4c51-8f53-6c61622e7069"
ADDRESS = "00:00:00:BB:BB:01"
KIND = AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS
DATA = bytes(AdvertisingData([(KIND, bytes(UUID(SERVICE)))]))
RESPONSE = bytes(AdvertisingData([(AdvertisingData.COMPLETE_LOCAL_NAME, b"pi")]))

# Ten of the advertisements below.
SECONDS = 0.2

Event = HCI_LE_Advertising_Report_Event.EventType


@asynccontextmanager
async def advertising(
    air: Air, kind: AdvertisingType, *, extended: bool = False
) -> AsyncIterator[None]:
    """A Pi that advertises in this way, every 20 ms."""
    controller = LabController("pi", air, ADDRESS, extended=extended)
    host = Host(controller, AsyncPipeSink(controller))
    device = Device(name="pi", host=host, address=Address("F0:00:00:00:00:01"))
    await device.power_on()
    await device.start_advertising(
        advertising_type=kind,
        own_address_type=OwnAddressType.PUBLIC,
        advertising_data=DATA,
        scan_response_data=RESPONSE,
        advertising_interval_min=20.0,
        advertising_interval_max=20.0,
    )
    yield
    await device.power_off()


async def reports(phone: Phone, *, active: bool) -> set[tuple[int, bytes]]:
    """Event type and data of all that a scanner's host is told."""
    heard: set[tuple[int, bytes]] = set()

    def hear(report: Report) -> None:
        assert report.address == Address(ADDRESS, Address.PUBLIC_DEVICE_ADDRESS)
        heard.add((report.event_type, bytes(report.data)))

    phone.device.host.on("advertising_report", hear)
    await phone.device.start_scanning(active=active)
    await asyncio.sleep(SECONDS)
    await phone.device.stop_scanning()
    return heard


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize(
    ("kind", "active", "expected"),
    [
        ("UNDIRECTED_CONNECTABLE_SCANNABLE", True, {(0, DATA), (4, RESPONSE)}),
        ("UNDIRECTED_CONNECTABLE_SCANNABLE", False, {(0, DATA)}),
        ("UNDIRECTED_SCANNABLE", True, {(2, DATA), (4, RESPONSE)}),
        ("UNDIRECTED", True, {(3, DATA)}),
    ],
)
def test_only_who_asks_gets_a_scan_response(
    kind: str, active: bool, expected: set[tuple[int, bytes]], extended: bool
) -> None:
    async def main() -> None:
        air = Air()
        pi = advertising(air, AdvertisingType[kind], extended=extended)
        async with pi, Phone(air, 1) as phone:
            assert await reports(phone, active=active) == expected

    asyncio.run(main())


def test_a_scan_response_is_for_the_scanner_that_asked() -> None:
    async def main() -> None:
        air = Air()
        kind = AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE
        async with advertising(air, kind), Phone(air, 1) as one, Phone(air, 2) as two:
            asked, silent = await asyncio.gather(
                reports(one, active=True), reports(two, active=False)
            )
            assert (Event.SCAN_RSP, RESPONSE) in asked
            assert silent == {(Event.ADV_IND, DATA)}

    asyncio.run(main())


def test_find_waits_until_both_came_through_the_noise() -> None:
    async def main() -> None:
        air = Air()
        air.weather("phone1", Conditions(loss=0.5))
        kind = AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE
        async with advertising(air, kind), Phone(air, 1) as phone:
            found = await phone.find(SERVICE)
            assert (bytes(found.data), bytes(found.scan_response)) == (DATA, RESPONSE)

    asyncio.run(main())
