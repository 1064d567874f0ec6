"""The gateway's radio on real BlueZ, with phones that are another Bluetooth stack."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from bumble.att import ATT_Error
from bumble.core import AdvertisingData

from gateway.core.opening import INFO, PLACES, RX, SERVICE, TX, Info, read_info
from gateway.core.segments import WINDOW
from tests.lab.pi import release
from tests.lab.pi.air import Air
from tests.lab.pi.bluetooth import radio, start_bluetooth
from tests.lab.pi.machine import GUEST, VirtualPi
from tests.lab.pi.phone import MTU, Phone

pytestmark = pytest.mark.lab

# The most that BlueZ 5.66 takes in one write (docs/lab.md), less what an echo adds to it.
WHOLE = (bytes(range(255)) * 2)[:507]

# After a phone came or went: what the gateway is to manage.
BACK_SECONDS = 2.0
# After bluetoothd is there again.
SERVED_SECONDS = 10.0

# What differs is in BlueZ; the newer one is laid over an older host's.
RELEASES = sorted({release.host(), "trixie"})

FLOOD = 800
CHANNEL_PACKETS = 800
PACKET_BYTES = 512

POWER_OFF = (
    "dbus-send", "--system", "--print-reply", "--dest=org.bluez", "/org/bluez/hci0",
    "org.freedesktop.DBus.Properties.Set", "string:org.bluez.Adapter1", "string:Powered",
    "variant:boolean:false",
)  # fmt: skip

# The least there is.
LEAST_MTU = 23


@asynccontextmanager
async def serving(
    folder: Path, air: Air, debian: str = "", *, extended: bool = False
) -> AsyncIterator[VirtualPi]:
    """A virtual Pi with the gateway's radio; nothing but its own lines may be printed by it."""
    async with (
        radio(folder, air, extended=extended) as line,
        VirtualPi(folder, lines=(line,), debian=debian) as pi,
    ):
        await start_bluetooth(pi)
        await pi.spawn("radio", sys.executable, str(GUEST / "radio.py"))
        try:
            yield pi
        finally:
            log = await pi.read("/run/radio.log")
            print(log)
        assert not [line for line in log.splitlines() if not re.match(r"\d+\.\d\d \w", line)]


async def linked(phone: Phone, mtu: int = MTU) -> Info:
    """Find the gateway, connect and ask for notifications."""
    assert await phone.connect((await phone.find(SERVICE)).address, mtu) == mtu
    info = read_info(await phone.read(INFO))
    await phone.subscribe(TX[info.place - 1])
    return info


async def echoed(phone: Phone, place: int, value: bytes, *, answered: bool = True) -> bytes:
    """What is notified for a value that was written."""
    await phone.write(RX, value, answered=answered)
    return await phone.notified(TX[place - 1])


async def settled(phone: Phone, place: int) -> int:
    """How many bytes the gateway read of what a phone wrote, once it is through."""
    before, now = -1, 0
    for _ in range(20):
        await asyncio.sleep(0.5)
        await phone.write(RX, b"count", answered=False)
        with suppress(TimeoutError):
            before, now = now, int((await phone.notified(TX[place - 1], 3))[3:])
        if before == now:
            return now
    raise AssertionError("the gateway does not come to an end")


def head(number: int, mtu: int = MTU) -> bytes:
    """What notifications of a phone begin with."""
    return bytes([number]) + mtu.to_bytes(2, "little")


def test_a_phone_finds_connects_writes_and_is_notified(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        async with serving(tmp_path, air), Phone(air, 1) as phone:
            info = await linked(phone)
            assert (info.peer, info.free, info.place) == (bytes(range(16)), 8, 1)
            assert 0x80 <= info.psm <= 0xFF
            for value, answered in ((b"hello", True), (WHOLE, True), (WHOLE, False)):
                assert await echoed(phone, 1, value, answered=answered) == head(1) + value

    asyncio.run(main())


def test_a_phone_with_the_least_mtu(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        async with serving(tmp_path, air), Phone(air, 1) as phone:
            info = await linked(phone, LEAST_MTU)
            for value in (b"x", bytes(range(17))):
                assert await echoed(phone, info.place, value) == head(1, LEAST_MTU) + value

    asyncio.run(main())


@pytest.mark.parametrize("debian", RELEASES)
def test_what_is_advertised(tmp_path: Path, debian: str) -> None:
    async def main() -> None:
        air = Air()
        async with serving(tmp_path, air, debian), Phone(air, 1) as phone:
            found = await phone.find(SERVICE)
            assert len(bytes(found.data)) == 31
            assert found.data.get(AdvertisingData.FLAGS) == 6
            where = bytes([192, 168, 1, 2]) + (8787).to_bytes(2, "big")
            assert found.data.get(AdvertisingData.MANUFACTURER_SPECIFIC_DATA) == (0xFFFF, where)
            # 8 octets of the token, 4 of the digest and the state, by base64.
            assert bytes(found.scan_response) == b"\x13\x09AAAAAAAAAABhYmNkAQ"

    asyncio.run(main())


@pytest.mark.parametrize("debian", RELEASES)
def test_phones_at_once_get_their_own_bytes(tmp_path: Path, debian: str) -> None:
    async def talk(phone: Phone, number: int) -> int:
        place = (await linked(phone)).place
        for count in range(20):
            value = f"{phone.name} {count}".encode()
            assert (
                await echoed(phone, place, value, answered=count % 2 == 0) == head(number) + value
            )
        return place

    async def main() -> None:
        air = Air()
        async with serving(tmp_path, air, debian), Phone(air, 1) as one, Phone(air, 2) as two:
            places = await asyncio.gather(talk(one, 1), talk(two, 2))
            assert sorted(places) == [1, 2]
            # One that goes takes nothing from the other.
            await one.disconnect()
            assert await echoed(two, places[1], b"still here") == head(2) + b"still here"

    asyncio.run(main())


def test_a_flood_of_writes_and_one_of_notifications(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        loop = asyncio.get_running_loop()
        async with serving(tmp_path, air) as pi, Phone(air, 1) as phone:
            place = (await linked(phone)).place
            for _ in range(FLOOD):
                await phone.write(RX, b"quiet" + WHOLE[5:], answered=False)
            # BlueZ and the kernel drop what they have no room for, also of a request then.
            got = await settled(phone, place)
            print(f"{got} of {FLOOD * len(WHOLE)} bytes came")
            began = loop.time()
            await phone.write(RX, f"many{FLOOD}".encode())
            for number in range(FLOOD):
                value = await phone.notified(TX[place - 1])
                assert value == head(1) + number.to_bytes(4, "big") + bytes(505)
            print(f"{FLOOD * 0.512 / (loop.time() - began):.0f} kB/s by notifications")
            assert "no room" in await pi.read("/run/radio.log")
            assert await echoed(phone, place, b"alive") == head(1) + b"alive"

    asyncio.run(main())


# With extended advertising, it ends with each connection.
@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("debian", RELEASES)
def test_a_phone_that_comes_and_goes_is_found_and_served_each_time(
    tmp_path: Path, debian: str, extended: bool
) -> None:
    async def main() -> None:
        air = Air()
        loop = asyncio.get_running_loop()
        async with (
            serving(tmp_path, air, debian, extended=extended) as pi,
            Phone(air, 1) as phone,
            Phone(air, 2) as other,
        ):
            slowest = 0.0
            for _ in range(10):
                place = (await linked(phone)).place
                began = loop.time()
                await other.find(SERVICE, BACK_SECONDS)
                assert await echoed(phone, place, b"again") == head(1) + b"again"
                slowest = max(slowest, loop.time() - began)
                await phone.disconnect()
                began = loop.time()
                await other.find(SERVICE, BACK_SECONDS)
                slowest = max(slowest, loop.time() - began)
            print(f"found again after {slowest:.2f} s at most")
            await linked(phone)
            await phone.write(RX, b"go")
            await pi.until("/run/radio.log", r"(?s)(disconnected.*){11}")
            assert not phone.connected

    asyncio.run(main())


@pytest.mark.parametrize("debian", RELEASES)
def test_bluetoothd_that_ends_and_comes_back(tmp_path: Path, debian: str) -> None:
    async def main() -> None:
        air = Air()
        loop = asyncio.get_running_loop()
        async with serving(tmp_path, air, debian) as pi, Phone(air, 1) as phone:
            await linked(phone)
            for times in (1, 2, 3):
                await pi.run("/bin/sh", "-c", "kill -9 $(cat /run/bluetoothd.pid)")
                await pi.until("/run/radio.log", rf"(?s)(ended bluetooth-no-daemon.*){{{times}}}")
                await phone.disconnect()
                await pi.run("/bin/sh", "/run/start-bluetoothd")
                began = loop.time()
                place = (await linked(phone)).place
                assert await echoed(phone, place, b"back") == head(1) + b"back"
                assert loop.time() - began < SERVED_SECONDS
                print(f"served again after {loop.time() - began:.1f} s")
            left = re.findall(r"left (\d+) (\d+)", await pi.read("/run/radio.log"))
            assert len(set(left)) == 1, left

    asyncio.run(main())


@pytest.mark.parametrize("debian", RELEASES)
def test_a_window_of_writes_of_eight_phones_arrives_whole(tmp_path: Path, debian: str) -> None:
    async def at_once(phone: Phone, place: int) -> int:
        for _ in range(WINDOW):
            await phone.write(RX, b"quiet" + WHOLE[5:], answered=False)
        return await settled(phone, place)

    async def main() -> None:
        air = Air()
        async with serving(tmp_path, air, debian), AsyncExitStack() as stack:
            phones = [await stack.enter_async_context(Phone(air, n)) for n in range(1, PLACES + 1)]
            places = [(await linked(phone)).place for phone in phones]
            assert places == list(range(1, PLACES + 1))
            got = await asyncio.gather(*map(at_once, phones, places))
            assert got == [WINDOW * len(WHOLE)] * PLACES

    asyncio.run(main())


@pytest.mark.parametrize("debian", RELEASES)
def test_a_rude_phone_hurts_nobody_else(tmp_path: Path, debian: str) -> None:
    async def main() -> None:
        air = Air()
        async with serving(tmp_path, air, debian), Phone(air, 1) as phone, Phone(air, 2) as rude:
            place = (await linked(phone)).place
            await linked(rude)
            # It listens to another's place, and goes on and off.
            for _ in range(5):
                await rude.subscribe(TX[place - 1])
                await rude.unsubscribe(TX[place - 1])
            await rude.subscribe(TX[place - 1])
            assert await echoed(phone, place, b"one") == head(1) + b"one"
            for value in (b"", bytes(600), bytes(513)):
                with suppress(ATT_Error):
                    await rude.write(RX, value)
            # It leaves while it asks for much.
            await rude.write(RX, f"many{FLOOD}".encode())
            for _ in range(50):
                await rude.write(RX, b"quiet" + WHOLE[5:], answered=False)
            await rude.disconnect()
            assert await echoed(phone, place, b"two") == head(1) + b"two"
            # It asks for channels without end; each phone has two at most.
            psm = (await linked(rude)).psm
            channels = [await rude.open(psm) for _ in range(3)]
            await channels[0].write(b"x")
            assert await channels[0].read() == b"x"
            await asyncio.sleep(0.5)
            assert [channel.open_still for channel in channels] == [True, True, False]
            await rude.disconnect()
            assert await echoed(phone, place, b"three") == head(1) + b"three"

    asyncio.run(main())


def test_an_adapter_and_a_bus_that_go_and_come_back(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        async with serving(tmp_path, air) as pi, Phone(air, 1) as phone:
            await linked(phone)
            await pi.run(*POWER_OFF)
            await pi.until("/run/radio.log", "ended bluetooth-adapter-off")
            await phone.disconnect()
            # Serving switches it on again; what was advertised before it went may still be heard.
            await pi.until("/run/radio.log", "(?s)serve.*serve")
            place = (await linked(phone)).place
            assert await echoed(phone, place, b"on") == head(1) + b"on"
            await pi.run("/bin/sh", "-c", "kill -9 $(cat /run/dbus.pid)")
            await pi.until("/run/radio.log", "(?s)ended bluetooth-no-bus.*ended bluetooth-no-bus")
            await phone.disconnect()
            await pi.run("/bin/sh", "-c", "kill $(cat /run/bluetoothd.pid); sh /run/start-dbus")
            await pi.until("/run/radio.log", "ended bluetooth-no-daemon")
            await pi.run("/bin/sh", "/run/start-bluetoothd")
            place = (await linked(phone)).place
            assert await echoed(phone, place, b"back") == head(1) + b"back"
            left = re.findall(r"left (\d+) (\d+)", await pi.read("/run/radio.log"))
            assert len(set(left)) == 1, left

    asyncio.run(main())


def test_a_channel_brings_all_both_ways(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        loop = asyncio.get_running_loop()
        async with serving(tmp_path, air), Phone(air, 1) as phone:
            channel = await phone.open((await linked(phone)).psm)
            data = b"".join(bytes([n % 256]) * PACKET_BYTES for n in range(CHANNEL_PACKETS))
            began = loop.time()
            for start in range(0, len(data), PACKET_BYTES):
                await channel.write(data[start : start + PACKET_BYTES])
            heard = bytearray()
            while len(heard) < len(data):
                heard += await channel.read()
            print(f"{len(data) / (loop.time() - began) / 1000:.0f} kB/s both ways")
            assert heard == data
            await channel.close()

    asyncio.run(main())
