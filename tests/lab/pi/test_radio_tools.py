"""What is seen of a real kernel's Bluetooth in each fault, and what its repairs do."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters import radio_tools
from tests.lab.pi.air import Air
from tests.lab.pi.bluetooth import radio, start_bluetooth
from tests.lab.pi.machine import VirtualPi
from tests.support.gateway import ROOT

pytestmark = pytest.mark.lab

CODE = f"""
import asyncio, dataclasses, json, sys
sys.path.insert(0, {str(ROOT)!r})
from gateway.adapters.radio_tools import LinuxRadioTools
from gateway.core.radio import Repair

tools, (repair, adapter) = LinuxRadioTools(), sys.argv[1:]
said = asyncio.run(tools.repair(Repair(repair), adapter)) if repair else ""
print(json.dumps([said, dataclasses.asdict(tools.facts())]))
"""
NOBODY = "65534"
SOON = 10.0


class Device:
    """A virtual Pi with its radio, asked as the gateway asks."""

    def __init__(self, pi: VirtualPi) -> None:
        self.pi = pi

    async def ask(self, repair: str = "", adapter: str = "hci0") -> tuple[str, dict[str, Any]]:
        """What the repair said, and the facts after it."""
        said, facts = json.loads(await self.pi.python(CODE, repair, adapter))
        return said, facts

    async def controller(self, name: str = "hci0") -> dict[str, Any] | None:
        """What is seen of one, without its name."""
        _, facts = await self.ask()
        found = [one for one in facts["controllers"] if one.pop("name") == name]
        return found[0] if found else None

    async def until(self, wanted: dict[str, Any] | None, name: str = "hci0") -> None:
        """Wait until a controller is seen as this."""
        end = asyncio.get_running_loop().time() + SOON
        while (seen := await self.controller(name)) != wanted:
            assert asyncio.get_running_loop().time() < end, seen
            await asyncio.sleep(0.1)

    async def powered(self) -> bool:
        """What BlueZ says of its adapter."""
        said = await self.pi.run(
            "dbus-send", "--system", "--print-reply", "--dest=org.bluez", "/org/bluez/hci0",
            "org.freedesktop.DBus.Properties.Get", "string:org.bluez.Adapter1", "string:Powered",
        )  # fmt: skip
        return "boolean true" in said

    async def kill(self, part: str) -> None:
        """End what bluetooth.sh started."""
        await self.pi.run("sh", "-c", f"kill -9 $(cat /run/{part}.pid)")

    async def start(self, part: str) -> None:
        """Start it again."""
        await self.pi.run("sh", f"/run/start-{part}")


WELL = {"up": True, "set_up": True, "soft": False, "hard": False}
OFF = {**WELL, "up": False}


@asynccontextmanager
async def device(folder: Path) -> AsyncIterator[Device]:
    """A device whose Bluetooth is well, and a second line on which nobody answers."""
    silent, mute = os.openpty()
    try:
        async with (
            radio(folder, Air()) as line,
            VirtualPi(folder, lines=(line, os.ttyname(mute))) as pi,
        ):
            await start_bluetooth(pi)
            yield Device(pi)
    finally:
        os.close(silent)
        os.close(mute)


def test_faults_are_seen_and_mended(tmp_path: Path) -> None:
    async def main() -> None:
        async with device(tmp_path) as it:
            _, facts = await it.ask()
            assert facts["bus"] and facts["installed"] and not facts["soft"] and not facts["hard"]
            assert await it.controller() == WELL
            # BlueZ knows every line of the settings that ship, and loads what it was told to.
            log = await it.pi.read("/run/bluetoothd.log")
            assert not re.search(r"(?i)unknown (key|group)|invalid|deprecated", log), log
            assert "Ignoring (cli) battery" in log and "Ignoring (cli) policy" not in log

            await it.pi.run("sh", "-c", "for s in /sys/class/rfkill/*/soft; do echo 1 >$s; done")
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
        async with device(tmp_path) as it:
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
        async with device(tmp_path) as it:
            run = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
            for repair, sentence in (
                ("unblock", radio_tools.UNBLOCK_DENIED),
                ("power-on", radio_tools.POWER_DENIED),
                ("power-cycle", radio_tools.POWER_DENIED),
            ):
                output = await it.pi.run(*run, "python3", "-c", CODE, repair, "hci0")
                said, facts = json.loads(output)
                assert said == sentence
                # Looking needs no rights.
                assert facts["controllers"][0] == {"name": "hci0", **WELL}

    asyncio.run(main())
