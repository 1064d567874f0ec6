"""Who is no member, or no longer one, and who only pretends to be the gateway."""

import asyncio
import sys
from pathlib import Path

import pytest

from gateway.core.errors import Code
from gateway.core.events import UpdateReceived
from gateway.core.opening import INFO, SERVICE
from tests.lab.pi.air import Air
from tests.lab.pi.bluetooth import radio, start_bluetooth
from tests.lab.pi.keeper import Keeper
from tests.lab.pi.machine import GUEST, VirtualPi
from tests.lab.pi.phone import Phone
from tests.lab.pi.store import DATA, GATEWAY, store
from tests.lab.pi.twin import Twin
from tests.lab.pi.writer import Writer

pytestmark = pytest.mark.lab

# Somebody else on the device, by whose advertisement it can be connected to.
OTHER = tuple(f"5d5a000{number}-9f3c-4c51-8f53-6c61622e7069" for number in (1, 2, 3))
# Longer than a gateway of a store is not heard.
QUIET_SECONDS = 4.0
LINKED_SECONDS = 12.0


def test_a_gateway_of_no_store_is_not_heard_and_offers_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        async with (
            radio(tmp_path, air) as line,
            VirtualPi(tmp_path, lines=(line,)) as pi,
            Phone(air, 1) as phone,
        ):
            await start_bluetooth(pi)
            await pi.spawn("gateway", *GATEWAY, "run", *DATA, "--no-pages", "--bluetooth", "--json")
            await pi.until("/run/gateway.log", '"ready": ?true')
            with pytest.raises(AssertionError, match="hears nobody"):
                await phone.find(SERVICE, QUIET_SECONDS)
            await pi.spawn("other", sys.executable, str(GUEST / "echo.py"), *OTHER)
            await phone.connect((await phone.find(OTHER[0])).address)
            # It does not even offer the service.
            with pytest.raises(KeyError):
                await phone.read(INFO)

    asyncio.run(main())


def test_who_is_revoked_is_ended_within_a_second_and_not_let_in_again(tmp_path: Path) -> None:
    async def main() -> None:
        air, loop = Air(), asyncio.get_running_loop()
        async with store(tmp_path, air) as shop, Keeper(air, 1, "notes") as member:
            await shop.pair(member)
            writer = Writer(member.keep())
            await writer.served(loop.time(), LINKED_SECONDS)
            began = loop.time()
            revoking = asyncio.create_task(shop.ask("revoke", peer=(b"\x01" * 16).hex()))
            await member.until(lambda: bool(member.codes))
            took = loop.time() - began
            await revoking
            await member.until(lambda: len(member.codes) > 1)
            print(f"ended after {took:.2f} s", member.codes)
            assert set(member.codes) == {Code.REVOKED}
            assert len(member.codes) == member.links + 1
            await writer.rest()

    asyncio.run(main())


def test_who_repeats_our_token_is_left_for_the_real_one(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        async with store(tmp_path, air) as shop, Keeper(air, 1, "notes") as member:
            await shop.pair(member)
            await member.rest()
            heard = await member.phone.find(SERVICE)
            air.cut("pi")
            async with Twin(air, 90, heard) as twin:
                member.keep()
                await member.until(lambda: bool(member.codes), LINKED_SECONDS)
                assert member.codes == [Code.UNAUTHORISED] and member.links == 0
                assert member.shunned == {twin.address}
                air.mend("pi")
                await member.until(lambda: member.linked, LINKED_SECONDS)
                await member.save("notes/1", "text", "for the real one")
                assert await shop.read("notes/1") == {"text": "for the real one"}
                assert not [event for event in twin.heard if isinstance(event, UpdateReceived)]

    asyncio.run(main())
