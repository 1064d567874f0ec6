"""Pins of the virtual Pi: the kernel's simulated GPIO chip, seen from outside and from inside."""

from tests.lab.pi.machine import VirtualPi

# A Pi's chip has 54 lines (BCM2711).
LINES = 54
CHIP = "/sys/kernel/config/gpio-sim/pi"


class Pins:
    """What hands and eyes would do: press buttons, see lamps."""

    def __init__(self, pi: VirtualPi, folder: str, chip: str) -> None:
        self._pi = pi
        self._folder = folder
        self.device = f"/dev/{chip}"

    @classmethod
    async def plug(cls, pi: VirtualPi) -> "Pins":
        """Give the Pi a chip of pins; ``device`` is its /dev/gpiochip…"""
        bank = f"{CHIP}/bank"
        await pi.run("mkdir", "-p", bank)
        await pi.write(f"{bank}/num_lines", str(LINES))
        await pi.write(f"{CHIP}/live", "1")
        device, chip = await pi.read(f"{CHIP}/dev_name"), await pi.read(f"{bank}/chip_name")
        return cls(pi, f"/sys/devices/platform/{device}/{chip}", chip)

    async def lamp(self, line: int) -> bool:
        """Whether the Pi drives a line high."""
        return await self._pi.read(f"{self._folder}/sim_gpio{line}/value") == "1"

    async def press(self, line: int) -> None:
        """Pull a line to ground, as a button does."""
        await self._pi.write(f"{self._folder}/sim_gpio{line}/pull", "pull-down")

    async def release(self, line: int) -> None:
        """Let a line go up again."""
        await self._pi.write(f"{self._folder}/sim_gpio{line}/pull", "pull-up")
