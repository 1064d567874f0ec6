"""Bluetooth for the virtual Pi: a controller outside, D-Bus and BlueZ's own daemon inside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bumble.transport.pty import open_pty_transport

from tests.lab.pi.air import Air
from tests.lab.pi.controller import LabController
from tests.lab.pi.machine import GUEST, VirtualPi

# Not zero, which BlueZ takes for a controller without a public address.
PI_ADDRESS = "00:00:00:BB:BB:01"

# What a device has over its packages: BlueZ's settings, and how its daemon is started.
OVERLAY = Path(__file__).resolve().parents[3] / "image" / "overlay"

# ttyS0 is the agent's.
RADIO = "/dev/ttyS1"


@asynccontextmanager
async def radio(folder: Path, air: Air, *, extended: bool = False) -> AsyncIterator[str]:
    """A controller on a terminal, whose path is for ``VirtualPi(lines=(path,))``.

    ``extended``: with extended advertising, as a plugged adapter may have it.
    """
    link = folder / "radio"
    transport = await open_pty_transport(str(link))
    controller = LabController(
        "pi",
        air,
        PI_ADDRESS,
        extended=extended,
        host_source=transport.source,
        host_sink=transport.sink,
    )
    try:
        yield str(link.readlink())
    finally:
        air.remove_controller(controller)
        await transport.close()


async def start_bluetooth(pi: VirtualPi) -> None:
    """Start D-Bus, attach the controller, start bluetoothd and wait until it has its adapter."""
    script, bus = str(GUEST / "bluetooth.sh"), str(GUEST / "dbus.conf")
    await pi.run("/bin/sh", script, RADIO, bus, str(OVERLAY))
