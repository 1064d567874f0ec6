"""Members of a store by Bluetooth alone: the gateway whole, real BlueZ, phones outside."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.lab.pi.air import Air
from tests.lab.pi.member import Member
from tests.lab.pi.store import store

pytestmark = pytest.mark.lab


def test_a_note_reaches_another_phone_without_any_network(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        async with (
            store(tmp_path, air) as shop,
            Member(air, 1, "notes") as nurse,
            Member(air, 2, "notes") as doctor,
        ):
            await shop.pair(nurse)
            await shop.pair(doctor)
            nurse.change("notes/7", "text", "fever since monday")
            await doctor.until(lambda: doctor.read("notes/7") == {"text": "fever since monday"})
            doctor.change("notes/7", "seen", True)
            await nurse.until(lambda: nurse.read("notes/7").get("seen") is True)
            assert await shop.read("notes/7") == {"text": "fever since monday", "seen": True}

    asyncio.run(main())


def test_a_link_moves_to_a_channel_in_the_middle_of_a_message(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        async with (
            store(tmp_path, air) as shop,
            Member(air, 1, "notes") as nurse,
            Member(air, 2, "notes") as doctor,
        ):
            for member in (nurse, doctor):
                await shop.pair(member)
            picture = os.urandom(60_000)
            nurse.change("notes/7", "picture", picture)
            for member in (nurse, doctor):
                await member.move()
            await doctor.until(lambda: doctor.read("notes/7") == {"picture": picture})
            doctor.change("notes/7", "seen", True)
            await nurse.until(lambda: nurse.read("notes/7").get("seen") is True)

    asyncio.run(main())
