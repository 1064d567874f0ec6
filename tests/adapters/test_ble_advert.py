"""What is advertised, and that it is kept up."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.adapters import ble_advert
from gateway.adapters.ble_advert import PATH, Advertiser, advertised
from gateway.adapters.ble_bus import BusError
from gateway.core.beacon import Beacon
from gateway.core.opening import SERVICE
from tests.support.bluez import HCI0, FakeBluez, until
from tests.vectors.make_beacon import VECTORS

BEACON = Beacon(b"12345678", b"abcd", 3, "192.168.1.2", 8787)
OTHER = Beacon(b"12345678", b"efgh")
FAILED = BusError("org.bluez.Error.Failed")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that do not matter here are short; that between changes is not."""
    monkeypatch.setattr(ble_advert, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(ble_advert, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(ble_advert, "CHANGE_SECONDS", 0.3)


@asynccontextmanager
async def advertising(bluez: FakeBluez) -> AsyncIterator[Advertiser]:
    """An advertiser at work."""
    bus: Any = bluez
    advertiser = Advertiser(bus, HCI0)
    task = asyncio.create_task(advertiser.run())
    try:
        yield advertiser
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not bluez.offered


def test_the_packets_have_31_octets() -> None:
    values = {key: value.value for key, value in advertised(BEACON).items()}
    [(company, data)] = values["ManufacturerData"].items()
    assert (company, data.value) == (0xFFFF, bytes([192, 168, 1, 2]) + (8787).to_bytes(2, "big"))
    assert values["ServiceUUIDs"] == [SERVICE]
    # Flags, service and manufacturer's, as BlueZ packs them; the name is alone.
    assert 3 + (2 + 16) + (2 + 2 + len(data.value)) == 31
    assert values["LocalName"] == "MTIzNDU2NzhhYmNkAw"
    assert 2 + len(values["LocalName"]) <= 31
    assert (values["Type"], values["Discoverable"]) == ("peripheral", True)


def test_the_names_are_those_of_the_shared_vectors() -> None:
    for case in json.loads(VECTORS.read_text())["cases"]:
        token, digest = bytes.fromhex(case["token"]), bytes.fromhex(case["digest"])
        assert ble_advert.name(Beacon(token, digest, case["state"])) == case["name"]


def test_bluez_is_told_the_beacon_of_the_moment() -> None:
    async def main() -> None:
        bluez = FakeBluez()
        async with advertising(bluez) as advertiser:
            await asyncio.sleep(0.05)
            assert not bluez.calls and not advertiser.up
            advertiser.show(BEACON)
            await until(lambda: advertiser.up)
            assert bluez.calls == [("RegisterAdvertisement", PATH, {})]
            [(signature, [properties])] = [bluez.offered[PATH]("GetAll")]
            assert signature == "a{sv}"
            assert properties["LocalName"].value == "MTIzNDU2NzhhYmNkAw"
            [(signature, [tree])] = [bluez.offered[PATH]("GetManagedObjects")]
            assert list(tree[PATH]) == ["org.bluez.LEAdvertisement1"]
            # BlueZ sets the power it sends with.
            assert bluez.offered[PATH]("Set") == ("", [])

    asyncio.run(main())


def test_it_is_registered_anew_when_a_phone_came_and_when_bluez_ended_it() -> None:
    async def main() -> None:
        bluez = FakeBluez()
        async with advertising(bluez) as advertiser:
            advertiser.show(BEACON)
            await until(lambda: bluez.count("RegisterAdvertisement") == 1)
            advertiser.again()
            await until(lambda: bluez.count("RegisterAdvertisement") == 2)
            assert bluez.count("UnregisterAdvertisement") == 1
            bluez.offered[PATH]("Release")
            await until(lambda: bluez.count("RegisterAdvertisement") == 3)
            # It is not registered any more: there is nothing to take back.
            assert bluez.count("UnregisterAdvertisement") == 1

    asyncio.run(main())


def test_changes_are_apart_and_the_last_one_counts() -> None:
    async def main() -> None:
        bluez = FakeBluez()
        loop = asyncio.get_running_loop()
        async with advertising(bluez) as advertiser:
            advertiser.show(BEACON)
            await until(lambda: advertiser.up)
            began = loop.time()
            advertiser.show(BEACON)
            for _ in range(10):
                advertiser.show(OTHER)
                advertiser.show(BEACON)
                advertiser.show(OTHER)
            await until(lambda: bluez.count("RegisterAdvertisement") == 2)
            assert loop.time() - began > 0.2
            assert bluez.offered[PATH]("GetAll")[1][0]["LocalName"].value == "MTIzNDU2NzhlZmdoAA"
            advertiser.show(None)
            await until(lambda: bluez.count("UnregisterAdvertisement") == 2)
            await asyncio.sleep(0.05)
            assert bluez.count("RegisterAdvertisement") == 2
            assert advertiser.up

    asyncio.run(main())


def test_what_bluez_refuses_is_tried_again() -> None:
    async def main() -> None:
        bluez = FakeBluez()
        bluez.errors["RegisterAdvertisement"] = FAILED
        async with advertising(bluez) as advertiser:
            advertiser.show(BEACON)
            await until(lambda: bluez.count("RegisterAdvertisement") >= 3)
            assert not advertiser.up
            del bluez.errors["RegisterAdvertisement"]
            await until(lambda: advertiser.up)
            # What is gone by itself cannot be taken back.
            bluez.errors["UnregisterAdvertisement"] = FAILED
            before = bluez.count("RegisterAdvertisement")
            advertiser.again()
            await until(lambda: bluez.count("RegisterAdvertisement") == before + 1)
            assert advertiser.up

    asyncio.run(main())
