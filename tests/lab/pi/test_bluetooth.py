"""Phones that are another Bluetooth stack find, link with and use a service on real BlueZ."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bumble.core import AdvertisingData

from tests.lab.pi import release
from tests.lab.pi.air import Air
from tests.lab.pi.bluetooth import radio, start_bluetooth
from tests.lab.pi.channel import CHANNEL_MTU
from tests.lab.pi.machine import GUEST, VirtualPi
from tests.lab.pi.phone import MTU, Phone
from tests.lab.pi.radio import Conditions

pytestmark = pytest.mark.lab

SERVICE = "5d5a0001-9f3c-4c51-8f53-6c61622e7069"
RX = "5d5a0002-9f3c-4c51-8f53-6c61622e7069"
TX = "5d5a0003-9f3c-4c51-8f53-6c61622e7069"

# The most that BlueZ 5.66 takes in one write: it counts the handle's two bytes into the 512 of a
# value, refuses longer requests and drops longer commands without a word.
WHOLE = bytes(range(255)) * 2

# The same of a value in parts, of which each names its offset in two bytes more.
LONG = WHOLE[:508]

# BlueZ 5.66 is the host's where the host is Debian 12; 5.82 there is laid over it.
RELEASES = sorted({release.host(), "trixie"})

# Of those that are free for anybody (Core specification, vol. 3 part A, 4.22).
PSM = 0x80

# The least that a phone may have.
SMALL_MTU = 23

# Bytes a second of a poor link, and so many writes that it takes two seconds.
RATE = 10_000.0
WRITES = 40


@asynccontextmanager
async def echo(
    folder: Path, air: Air, debian: str = "", *, extended: bool = False
) -> AsyncIterator[VirtualPi]:
    """A virtual Pi that advertises the echo service."""
    async with (
        radio(folder, air, extended=extended) as line,
        VirtualPi(folder, lines=(line,), debian=debian) as pi,
    ):
        await start_bluetooth(pi)
        await pi.spawn("echo", sys.executable, str(GUEST / "echo.py"), SERVICE, RX, TX)
        yield pi


async def linked(phone: Phone) -> None:
    """Find the service, connect and ask for notifications."""
    assert await phone.connect((await phone.find(SERVICE)).address) == MTU
    await phone.subscribe(TX)


@pytest.mark.parametrize("debian", RELEASES)
def test_a_phone_finds_connects_writes_and_is_notified(tmp_path: Path, debian: str) -> None:
    async def main() -> None:
        air = Air()
        async with echo(tmp_path, air, debian), Phone(air, 1) as phone:
            await linked(phone)
            for value, answered in ((b"hello", True), (WHOLE, True), (WHOLE, False)):
                await phone.write(RX, value, answered=answered)
                assert await phone.notified(TX) == value

    asyncio.run(main())


@pytest.mark.parametrize("extended", [False, True])
def test_what_is_advertised_and_what_answers_a_scan_are_told_apart(
    tmp_path: Path, extended: bool
) -> None:
    async def main() -> None:
        air = Air()
        async with echo(tmp_path, air, extended=extended), Phone(air, 1) as phone:
            found = await phone.find(SERVICE)
            # Discoverable by anybody, and not by classic Bluetooth.
            assert found.data.get(AdvertisingData.FLAGS) == AdvertisingData.Flags(6)
            assert found.data.get(AdvertisingData.COMPLETE_LOCAL_NAME) is None
            assert found.scan_response.get(AdvertisingData.COMPLETE_LOCAL_NAME) == "echo"

    asyncio.run(main())


def test_a_phone_with_a_small_mtu_writes_a_long_value_in_parts(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        async with echo(tmp_path, air), Phone(air, 1) as phone:
            address = (await phone.find(SERVICE)).address
            assert await phone.connect(address, SMALL_MTU) == SMALL_MTU
            await phone.subscribe(TX)
            await phone.write(RX, LONG)
            # A notification has no parts: what is too long for it is cut.
            assert await phone.notified(TX) == LONG[: SMALL_MTU - 3]

    asyncio.run(main())


@pytest.mark.parametrize("debian", RELEASES)
def test_an_l2cap_channel_keeps_messages_whole(tmp_path: Path, debian: str) -> None:
    async def main() -> None:
        air = Air()
        async with echo(tmp_path, air, debian) as pi, Phone(air, 1) as phone:
            await pi.spawn("channel", sys.executable, str(GUEST / "channel.py"), str(PSM))
            await pi.until("/run/channel.log", "listening")
            await linked(phone)
            channel = await phone.open(PSM)
            messages = [bytes([size % 256]) * size for size in (1, 22, 512, channel.peer_mtu)]
            for message in messages:
                await channel.write(message)
            assert [await channel.read() for _ in messages] == messages
            await channel.close()
            said = await pi.until("/run/channel.log", "closed")
            assert f"came {phone.device.random_address.to_string(False)} 2 {CHANNEL_MTU}" in said

    asyncio.run(main())


# With extended advertising, it ends with each connection and the service has to begin again.
@pytest.mark.parametrize("extended", [False, True])
def test_two_phones_at_once(tmp_path: Path, extended: bool) -> None:
    async def talk(phone: Phone) -> None:
        await linked(phone)
        for number in range(20):
            await phone.write(RX, f"{phone.name} {number}".encode())
        # Plain notifications go to every phone that asked.
        own = [f"{phone.name} {number}".encode() for number in range(20)]
        while own:
            value = await phone.notified(TX)
            if value.startswith(phone.name.encode()):
                assert value == own.pop(0)

    async def main() -> None:
        air = Air()
        pi = echo(tmp_path, air, extended=extended)
        async with pi, Phone(air, 1) as one, Phone(air, 2) as two:
            await asyncio.gather(talk(one), talk(two))
            assert one.connected and two.connected

    asyncio.run(main())


def test_a_phone_that_was_out_of_reach_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        async with echo(tmp_path, air), Phone(air, 1) as phone:
            await linked(phone)
            air.cut("phone1")
            await asyncio.sleep(0)
            assert not phone.connected
            with pytest.raises(AssertionError, match="hears nobody"):
                await phone.find(SERVICE, seconds=1.0)
            air.mend("phone1")
            await linked(phone)
            await phone.write(RX, b"back")
            assert await phone.notified(TX) == b"back"

    asyncio.run(main())


def test_a_slow_radio_slows_what_a_phone_gets(tmp_path: Path) -> None:
    async def main() -> float:
        air = Air()
        async with echo(tmp_path, air), Phone(air, 1) as phone:
            await linked(phone)
            air.weather("phone1", Conditions(rate=RATE, delay=0.03))
            began = asyncio.get_running_loop().time()
            for _ in range(WRITES):
                await phone.write(RX, WHOLE, answered=False)
            for _ in range(WRITES):
                assert await phone.notified(TX) == WHOLE
            return asyncio.get_running_loop().time() - began

    seconds = asyncio.run(main())
    assert len(WHOLE) * WRITES / RATE <= seconds <= 3 * len(WHOLE) * WRITES / RATE
