"""A lamp lights and a button is felt, through the kernel's real GPIO interface."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.lab.pi.gpio import Pins
from tests.lab.pi.machine import GUEST, VirtualPi

pytestmark = pytest.mark.lab

LAMP = 17
BUTTON = 27


def test_a_lamp_is_seen_and_a_button_is_felt(tmp_path: Path) -> None:
    async def main() -> None:
        async with VirtualPi(tmp_path) as pi:
            pins = await Pins.plug(pi)
            await pins.release(BUTTON)

            async def start(name: str, line: int, ready: str) -> None:
                script = str(GUEST / "pins.py")
                await pi.spawn(name, sys.executable, script, name, pins.device, str(line))
                await pi.until(f"/run/{name}.log", ready)

            assert not await pins.lamp(LAMP)
            await start("light", LAMP, "lit")
            assert await pins.lamp(LAMP)

            await start("watch", BUTTON, "watching")
            for _ in range(3):
                await pins.press(BUTTON)
                await pins.release(BUTTON)
            edges = await pi.until("/run/watch.log", "watching\n" + "down\nup\n" * 3)
            assert edges.count("down") == 3

    asyncio.run(main())
