"""The GATT service, and how many notifications may be under way."""

import asyncio
from typing import Any

import pytest

from gateway.adapters.ble_bus import NO_ANSWER, BusError
from gateway.adapters.ble_gatt import CONFIRMED, WINDOW, Gatt, device_of, phone_of
from gateway.core.opening import INFO, RX, SERVICE, TX
from tests.support.bluez import DEVICE_PATH, HCI0, PHONE, FakeBluez, Recorder

OTHER = "F0:F1:F2:F3:F4:02"
DEVICE = ("o", DEVICE_PATH)


class Offered:
    """A service that is registered, and what happened to it."""

    def __init__(self) -> None:
        self.bluez, self.phones = FakeBluez(), Recorder()
        self.lost: list[BusError] = []
        bus: Any = self.bluez
        self.gatt = Gatt(bus, HCI0, self.phones, 0x81, self.lost.append)

    async def begin(self) -> None:
        """Register, and have all places subscribed."""
        await self.gatt.register()
        for uuid in TX:
            self.bluez.ask(uuid, "StartNotify")


def test_a_device_of_bluez_is_named_by_its_address() -> None:
    assert phone_of(DEVICE_PATH) == PHONE
    assert device_of(HCI0, PHONE) == DEVICE_PATH
    for path in ("/org/bluez/hci0", f"{DEVICE_PATH}/service0001", "", "/dev_xx_F1_F2_F3_F4_01"):
        assert phone_of(path) is None


def test_the_service_has_info_rx_and_a_tx_for_each_place() -> None:
    async def main() -> None:
        offered = Offered()
        await offered.begin()
        assert offered.bluez.calls == [("RegisterApplication", "/store_gateway/gatt", {})]
        exported: list[Any] = list(offered.bluez.exported.values())
        found = {str(one.uuid): one for one in exported if hasattr(one, "uuid")}
        assert set(found) == {INFO, RX, *TX}
        service: Any = offered.bluez.exported["/store_gateway/gatt/service0"]
        assert (service.UUID, service.Primary) == (SERVICE, True)
        assert found[RX].Flags == ["write-without-response", "write"]
        assert (found[INFO].Flags, found[TX[0]].Flags) == (["read"], ["notify"])

    asyncio.run(main())


def test_a_write_names_the_phone_and_its_mtu() -> None:
    async def main() -> None:
        offered = Offered()
        await offered.begin()
        offered.bluez.ask(RX, "WriteValue", b"one", device=DEVICE, mtu=("q", 185))
        offered.bluez.ask(RX, "WriteValue", b"", device=DEVICE, link=("s", "LE"))
        # Of another type than BlueZ says.
        offered.bluez.ask(RX, "WriteValue", b"two", device=DEVICE, mtu=("s", "185"))
        assert offered.phones.heard == [
            ("written", PHONE, b"one", 185),
            ("written", PHONE, b"", 23),
            ("written", PHONE, b"two", 23),
        ]

    asyncio.run(main())


@pytest.mark.parametrize(
    "options",
    [{}, {"device": ("o", "/org/bluez/hci0")}, {"device": DEVICE, "offset": ("q", 20)}],
)
def test_a_write_of_nobody_or_in_pieces_is_refused(options: dict[str, Any]) -> None:
    async def main() -> None:
        offered = Offered()
        await offered.begin()
        with pytest.raises(Exception, match="only"):
            offered.bluez.ask(RX, "WriteValue", b"x", **options)
        assert not offered.phones.heard

    asyncio.run(main())


def test_info_is_asked_for_each_phone_and_read_in_pieces() -> None:
    async def main() -> None:
        offered = Offered()
        await offered.begin()
        assert offered.bluez.ask(INFO, "ReadValue", device=DEVICE) == bytes(range(22))
        rest = offered.bluez.ask(INFO, "ReadValue", device=DEVICE, offset=("q", 20))
        assert rest == bytes([20, 21])
        assert offered.phones.heard == [("info", PHONE)] * 2
        with pytest.raises(Exception, match="only"):
            offered.bluez.ask(INFO, "ReadValue")

    asyncio.run(main())


def test_each_place_is_notified_by_its_own_characteristic() -> None:
    async def main() -> None:
        offered = Offered()
        await offered.gatt.register()
        offered.bluez.ask(TX[0], "StartNotify")
        offered.bluez.ask(TX[7], "StartNotify")
        for place, value in ((1, b"a"), (8, b"b"), (2, b"nobody hears this")):
            assert offered.gatt.notify(PHONE, place, value)
        assert offered.bluez.notified == [(TX[0], b"a"), (TX[7], b"b")]

    asyncio.run(main())


def test_so_many_notifications_are_under_way_and_there_is_room_when_bluez_read_them() -> None:
    async def main() -> None:
        offered = Offered()
        await offered.begin()
        hold = offered.bluez.held["Ping"] = asyncio.Event()
        took = [offered.gatt.notify(PHONE, 1, bytes([n])) for n in range(WINDOW + 5)]
        assert took == [True] * WINDOW + [False] * 5
        await asyncio.sleep(0)
        assert offered.bluez.count("Ping") == WINDOW // CONFIRMED
        assert not offered.phones.heard
        hold.set()
        await settle()
        # Once, however often it was refused.
        assert offered.phones.heard == [("room", PHONE)]
        assert all(offered.gatt.notify(PHONE, 1, b"x") for _ in range(WINDOW))
        assert not offered.gatt.notify(PHONE, 1, b"x")
        await offered.gatt.close()

    asyncio.run(main())


def test_who_is_refused_takes_turns() -> None:
    async def main() -> None:
        offered = Offered()
        await offered.begin()
        sent: list[str] = []

        def greedy(phone: str) -> None:
            while offered.gatt.notify(phone, 1, b"x"):
                sent.append(phone)

        offered.phones.on_room = greedy
        greedy(PHONE)
        offered.gatt.notify(OTHER, 2, b"x")
        for _ in range(40):
            await asyncio.sleep(0)
        assert 0.3 < sent.count(OTHER) / len(sent) < 0.7
        await offered.gatt.close()

    asyncio.run(main())


def test_a_bluez_that_does_not_answer_is_lost() -> None:
    async def main() -> None:
        offered = Offered()
        await offered.begin()
        offered.bluez.errors["Ping"] = BusError(NO_ANSWER)
        for _ in range(CONFIRMED):
            assert offered.gatt.notify(PHONE, 1, b"x")
        await settle()
        assert [error.name for error in offered.lost] == [NO_ANSWER]

    asyncio.run(main())


async def settle() -> None:
    """Let what is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)
