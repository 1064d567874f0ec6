"""Faults of the virtual Pi's Bluetooth, made and undone, and what the gateway sees of it."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.lab.pi.air import Air
from tests.lab.pi.bluetooth import radio, start_bluetooth
from tests.lab.pi.machine import VirtualPi
from tests.support.gateway import ROOT

CODE = f"""
import asyncio, dataclasses, json, sys
sys.path.insert(0, {str(ROOT)!r})
from gateway.adapters.radio_tools import LinuxRadioTools
from gateway.core.radio import Repair

tools, (repair, adapter) = LinuxRadioTools(), sys.argv[1:]
said = asyncio.run(tools.repair(Repair(repair), adapter)) if repair else ""
print(json.dumps([said, dataclasses.asdict(asyncio.run(tools.facts()))]))
"""
BLOCK = 'for switch in /sys/class/rfkill/*; do echo "$0" >$switch/soft; done'
ADAPTER = ("--dest=org.bluez", "/org/bluez/hci0")
POWERED = ("string:org.bluez.Adapter1", "string:Powered")
SOON = 10.0


class Device:
    """A virtual Pi with its radio."""

    def __init__(self, pi: VirtualPi) -> None:
        self.pi = pi

    async def ask(
        self, repair: str = "", adapter: str = "hci0", *, under: Sequence[str] = ()
    ) -> tuple[str, dict[str, Any]]:
        """What the gateway's tools say of a repair, and the facts after it."""
        said, facts = json.loads(await self.pi.run(*under, "python3", "-c", CODE, repair, adapter))
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
        get = "org.freedesktop.DBus.Properties.Get"
        said = await self.pi.run("dbus-send", "--system", "--print-reply", *ADAPTER, get, *POWERED)
        return "boolean true" in said

    async def power_off(self) -> None:
        """As somebody would by bluetoothctl."""
        put = "org.freedesktop.DBus.Properties.Set"
        await self.pi.run(
            "dbus-send", "--system", "--print-reply", *ADAPTER, put, *POWERED,
            "variant:boolean:false",
        )  # fmt: skip

    async def block(self, soft: int = 1) -> None:
        """As rfkill(8) would."""
        await self.pi.run("sh", "-c", BLOCK, str(soft))

    async def kill(self, part: str) -> None:
        """End what bluetooth.sh started."""
        await self.pi.run("sh", "-c", 'kill -9 "$(cat /run/$0.pid)"', part)

    async def start(self, part: str) -> None:
        """Start it again."""
        await self.pi.run("sh", f"/run/start-{part}")


@asynccontextmanager
async def device(folder: Path, air: Air, debian: str = "") -> AsyncIterator[Device]:
    """A device whose Bluetooth is well, and a second line, /dev/ttyS2, on which nobody answers.

    ``debian``: see ``VirtualPi``.
    """
    silent, mute = os.openpty()
    try:
        async with (
            radio(folder, air) as line,
            VirtualPi(folder, lines=(line, os.ttyname(mute)), debian=debian) as pi,
        ):
            await start_bluetooth(pi)
            yield Device(pi)
    finally:
        os.close(silent)
        os.close(mute)
