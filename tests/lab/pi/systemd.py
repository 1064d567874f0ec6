"""The virtual Pi with systemd as process 1, where units are what is tested.

Of the host's units only those are left that Debian starts everywhere; a test installs its own. The
power goes off at once, as without systemd: for an orderly end a test stops its units before.
"""

import asyncio
import re
import time
from pathlib import Path

from tests.lab.pi.bluetooth import OVERLAY, RADIO
from tests.lab.pi.machine import COMMAND_SECONDS, GUEST, MEMORY, POLL_SECONDS, VirtualPi

# Of the host, or of the layer where the host has them not.
PACKAGES = ("systemd", "udev")

UNITS = "/etc/systemd/system"

JOURNAL = ("journalctl", "--boot", "--output=cat", "--no-pager")
ADAPTER = ("org.bluez", "/org/bluez/hci0", "org.bluez.Adapter1")


class SystemdPi(VirtualPi):
    """A VirtualPi that booted to multi-user.target; ``run("systemctl", ...)`` works in it."""

    def __init__(
        self,
        folder: Path,
        *,
        lines: tuple[str, ...] = (),
        environment: tuple[str, ...] = (),
        memory: str = MEMORY,
        debian: str = "",
        packages: tuple[str, ...] = (),
    ) -> None:
        super().__init__(
            folder, lines=lines, memory=memory, debian=debian, packages=(*PACKAGES, *packages),
            environment=(f"LAB_SYSTEMD={GUEST / 'systemd.sh'}", *environment),
        )  # fmt: skip

    async def start(self) -> None:
        """Boot and wait until every unit of the boot is started or failed."""
        await super().start()
        await self.state()

    async def state(self) -> str:
        """``running``, or ``degraded`` when a unit failed; waits for the end of the boot."""
        # Its exit code is 0 for "running" only.
        return (await self.run("systemctl", "is-system-running", "--wait", check=False)).strip()

    async def install(self, unit: str, text: str) -> None:
        """Write a unit's file; it is not started."""
        await self.write(f"{UNITS}/{unit}", text)
        await self.run("systemctl", "daemon-reload")

    async def shown(self, unit: str, name: str) -> str:
        """A property of a unit, as in ``systemctl show``."""
        return (await self.run(*show(unit, name))).strip()

    async def becomes(self, unit: str, name: str, value: str) -> None:
        """Wait until a property of a unit has a value."""
        await self.prints(rf"^{re.escape(value)}$", *show(unit, name))

    async def says(self, unit: str, pattern: str) -> str:
        """What a unit, and systemd of it, said in this boot, once the pattern is found in that."""
        return await self.prints(pattern, *JOURNAL, f"--unit={unit}")

    async def prints(self, pattern: str, *argv: str, seconds: float = COMMAND_SECONDS) -> str:
        """Run a command again and again until the pattern is found in what it prints."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, text := await self.run(*argv, check=False)):
            if time.monotonic() > deadline:
                journal = await self.run(*JOURNAL)
                raise AssertionError(f"{argv}: no {pattern!r} in {text!r}; journal:\n{journal}")
            await asyncio.sleep(POLL_SECONDS)
        return text


def show(unit: str, name: str) -> tuple[str, ...]:
    """The command that prints a property of a unit."""
    return ("systemctl", "show", "--value", f"--property={name}", unit)


async def start_bluetooth(pi: SystemdPi) -> None:
    """Attach the controller of ``lines[0]``: udev starts bluetooth.service, Debian's own.

    It has the settings and the command that the image has.
    """
    for folder in ("bluetooth", "systemd/system/bluetooth.service.d"):
        await pi.run("cp", "-rT", str(OVERLAY / "etc" / folder), f"/etc/{folder}")
    await pi.run("systemctl", "daemon-reload")
    await pi.run("systemd-run", "--unit=lab-radio", "btattach", "-B", RADIO, "-P", "h4")
    # bluetoothd turns a controller on by itself, a moment after it took its name on the bus.
    await pi.prints("^b true", "busctl", "get-property", *ADAPTER, "Powered")
