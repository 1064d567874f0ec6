"""What is seen of a real kernel's Bluetooth in each fault, and what its repairs do."""

import asyncio
import re
from pathlib import Path

import pytest

from gateway.adapters import radio_tools
from tests.lab.pi import release
from tests.lab.pi.air import Air
from tests.lab.pi.faults import device

pytestmark = pytest.mark.lab

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
WELL = {"up": True, "set_up": True, "soft": False, "hard": False}
OFF = {**WELL, "up": False}


@pytest.mark.parametrize("debian", sorted({release.host(), "trixie"}))
def test_faults_are_seen_and_mended(tmp_path: Path, debian: str) -> None:
    async def main() -> None:
        async with device(tmp_path, Air(), debian) as it:
            _, facts = await it.ask()
            assert facts["bus"] and facts["installed"] and not facts["soft"] and not facts["hard"]
            assert await it.controller() == WELL
            # BlueZ knows every line of the settings that ship, and loads what it was told to.
            log = await it.pi.read("/run/bluetoothd.log")
            assert not re.search(r"(?i)unknown (key|group)|invalid|deprecated", log), log
            assert "Ignoring (cli) battery" in log and "Ignoring (cli) policy" not in log

            await it.block()
            await it.until({**OFF, "soft": True})
            assert (await it.ask("unblock"))[0] == ""
            assert await it.controller() in (OFF, WELL)

            assert (await it.ask("power-on"))[0] == ""
            await it.until(WELL)
            assert await it.powered()
            assert (await it.ask("power-cycle"))[0] == ""
            assert await it.controller() == WELL and await it.powered()

            assert (await it.ask("reset"))[0] == radio_tools.NO_DRIVER
            assert (await it.ask("restart-daemon"))[0] == radio_tools.NO_SYSTEMD

            await it.kill("btattach")
            await it.until(None)
            await it.start("btattach")
            await it.until(WELL)

    asyncio.run(main())


def test_a_controller_that_does_not_answer_has_no_address(tmp_path: Path) -> None:
    async def main() -> None:
        async with device(tmp_path, Air()) as it:
            await it.pi.spawn("mute", "btattach", "-B", "/dev/ttyS2", "-P", "h4")
            dead = {**OFF, "set_up": False}
            await it.until(dead, "hci1")
            # Tried in vain: two seconds for each command that nobody answers.
            said, _ = await it.ask("power-on", "hci1")
            assert said == "" and await it.controller("hci1") == dead
            assert await it.controller() == WELL

    asyncio.run(main())


def test_without_rights_it_says_what_is_missing(tmp_path: Path) -> None:
    async def main() -> None:
        async with device(tmp_path, Air()) as it:
            for repair, sentence in (
                ("unblock", radio_tools.UNBLOCK_DENIED),
                ("power-on", radio_tools.POWER_DENIED),
                ("power-cycle", radio_tools.POWER_DENIED),
            ):
                said, facts = await it.ask(repair, under=NOBODY)
                assert said == sentence
                # Looking needs no rights.
                assert facts["controllers"][0] == {"name": "hci0", **WELL}

    asyncio.run(main())
