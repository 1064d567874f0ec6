"""The virtual Pi boots, does what it is told, and leaves the host as it was."""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from tests.lab.pi.machine import CommandFailed, VirtualPi

pytestmark = pytest.mark.lab

# Measured 0.6 s; ten times that is a fault and not a busy machine.
BOOT_SECONDS = 10.0


def test_it_boots_to_python_and_runs_commands(tmp_path: Path) -> None:
    async def main() -> None:
        began = time.monotonic()
        async with VirtualPi(tmp_path) as pi:
            assert time.monotonic() - began < BOOT_SECONDS
            assert (await pi.run("uname", "-r")).startswith("6.")
            assert (await pi.run("id", "-u")) == "0\n"
            said = await pi.python("import sys; print(sys.version)")
            assert said == f"{sys.version}\n"
            assert await pi.run("cat", given="ünder\n") == "ünder\n"
            with pytest.raises(CommandFailed, match="ended with 127: not-there"):
                await pi.run("not-there")
            with pytest.raises(CommandFailed, match="ended with 3"):
                await pi.run("sh", "-c", "exit 3")
            both = await asyncio.gather(pi.run("sleep", "0.5"), pi.run("echo", "meanwhile"))
            assert list(both) == ["", "meanwhile\n"]
        assert "Power down" in pi.console()

    asyncio.run(main())


def test_what_it_writes_is_gone_but_for_the_shared_folder(tmp_path: Path) -> None:
    shared, other = tmp_path / "shared", tmp_path / "other"
    shared.mkdir()
    other.mkdir()

    traces = (other / "lab-was-here", Path("/etc/lab-was-here"))

    async def main() -> None:
        pi = VirtualPi(shared)
        await pi.start()
        for folder in (shared, other, Path("/etc")):
            await pi.write(f"{folder}/lab-was-here", "yes")
            assert await pi.read(f"{folder}/lab-was-here") == "yes"
        pi.cut_power()
        assert (shared / "lab-was-here").exists()
        assert not any(trace.exists() for trace in traces)
        await pi.start()
        assert await pi.read(f"{shared}/lab-was-here") == "yes"
        await pi.run("sh", "-c", f"! test -e {other}/lab-was-here")
        await pi.stop()

    asyncio.run(main())


def test_a_guest_that_cannot_boot_is_said_at_once_with_its_console(tmp_path: Path) -> None:
    async def main() -> None:
        pi = VirtualPi(tmp_path, environment=("LAB_PYTHON=/not/there",))
        with pytest.raises(AssertionError, match=r"(?s)did not boot.*the agent ended with 127"):
            await pi.start()

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < BOOT_SECONDS
