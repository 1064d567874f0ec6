"""The virtual Pi: a Linux kernel as a process of this user, on the host's own files.

``async with VirtualPi(folder) as pi: await pi.run("uname", "-r")``. What the guest writes is gone
with it, but for ``folder``, which is the same inside and outside.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.pi import release
from tests.lab.pi.kernel import kernel
from tests.lab.pi.layer import layer
from tests.lab.pi.wire import Wire

GUEST = Path(__file__).parent / "guest"

# Enough for bluetoothd, the gateway and a store of some thousand documents.
MEMORY = "512M"

# A boot takes half a second, on a machine that compiles beside it ten.
BOOT_SECONDS = 60.0
STOP_SECONDS = 20.0
COMMAND_SECONDS = 60.0

# Often enough for a test, seldom enough for the guest's one CPU.
POLL_SECONDS = 0.1
BOOT_POLL_SECONDS = 0.02


@cache
def parts(debian: str, more: tuple[str, ...]) -> tuple[Path, Path]:
    """Kernel and packages; apt is asked once a test run, as that takes a second."""
    return kernel(), layer(debian, more)


class CommandFailed(AssertionError):
    """A command in the guest ended with another code than 0."""


class VirtualPi:
    """One boot.

    ``lines``: devices of the host that the guest has as /dev/ttyS1, /dev/ttyS2, …; ``debian``: the
    release its packages are of, the host's own or a newer one; ``packages``: what it has of them
    besides those that every guest has.
    """

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
        self.folder = folder
        self._lines = lines
        self._environment = environment
        self._memory = memory
        self._debian = debian or release.host()
        self._more = packages
        self._process: subprocess.Popen[bytes] | None = None
        self._wire: Wire | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Boot and wait until commands can be run."""
        # Takes minutes the first time, so not in the loop.
        binary, packages = await asyncio.to_thread(parts, self._debian, self._more)
        self._wire = wire = await Wire.open()
        # A test run that is killed takes its guests with it.
        command = ["setpriv", "--pdeathsig=KILL", str(binary)]
        command += self._arguments(packages, wire.path)
        with self._console.open("wb") as console:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
                start_new_session=True, env={"PATH": os.environ["PATH"]},
            )  # fmt: skip
        if not await self._booted(wire):
            await self.stop()
            raise AssertionError(f"the virtual Pi did not boot:\n{self.console()}")

    async def _booted(self, wire: Wire) -> bool:
        deadline = time.monotonic() + BOOT_SECONDS
        while not wire.ready.done():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                return False
            await asyncio.sleep(BOOT_POLL_SECONDS)
        return True

    def _arguments(self, packages: Path, wire: str) -> list[str]:
        return [
            f"mem={self._memory}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
            f"init={GUEST / 'init.sh'}", "con=null", "con0=fd:0,fd:1", "quiet",
            f"uml_dir={self.folder}/", f"ssl0=tty:{wire}",
            *(f"ssl{number}=tty:{path}" for number, path in enumerate(self._lines, 1)),
            f"LAB_LAYER={packages}", f"LAB_SHARE={self.folder}", f"LAB_PYTHON={sys.executable}",
            f"LAB_AGENT={GUEST / 'agent.py'}", "LAB_WIRE=/dev/ttyS0", *self._environment,
        ]  # fmt: skip

    async def run(
        self,
        *argv: str,
        given: str = "",
        seconds: float = COMMAND_SECONDS,
        check: bool = True,
    ) -> str:
        """What a command printed, on both outputs; CommandFailed when its exit code is not 0."""
        assert self._wire is not None, "the virtual Pi is off"
        try:
            async with asyncio.timeout(seconds):
                answer = await self._wire.ask({"argv": argv, "input": given})
        except TimeoutError:
            raise AssertionError(f"{argv} took over {seconds} s\n{self.console()}") from None
        if check and answer["code"] != 0:
            raise CommandFailed(f"{argv} ended with {answer['code']}: {answer['output']}")
        return str(answer["output"])

    async def python(self, code: str, *arguments: str, seconds: float = COMMAND_SECONDS) -> str:
        """What Python code printed that ran in the guest, with the packages of this test run."""
        return await self.run(sys.executable, "-c", code, *arguments, seconds=seconds)

    async def spawn(self, name: str, *argv: str) -> None:
        """Start a command and leave it; ``read("/run/NAME.log")`` is what it prints."""
        script = 'log=/run/$0.log; setsid "$@" >"$log" 2>&1 </dev/null & echo $! >/run/$0.pid'
        await self.run("/bin/sh", "-c", script, name, *argv)

    async def end(self, name: str) -> None:
        """End what was spawned by SIGTERM and wait until it is gone."""
        script = (
            "pid=$(cat /run/$0.pid); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.05; done"
        )
        await self.run("/bin/sh", "-c", script, name)

    async def until(self, path: str, pattern: str, seconds: float = COMMAND_SECONDS) -> str:
        """A file of the guest once the pattern is found in it."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, text := await self.run("cat", path)):
            if time.monotonic() > deadline:
                raise AssertionError(f"no {pattern!r} in {path} within {seconds} s: {text}")
            await asyncio.sleep(POLL_SECONDS)
        return text

    async def write(self, path: str, text: str) -> None:
        """Write a file of the guest, also one of /sys."""
        await self.run("/bin/sh", "-c", 'cat >"$0"', path, given=text)

    async def read(self, path: str) -> str:
        """A file of the guest, without blanks around."""
        return (await self.run("cat", path)).strip()

    def console(self) -> str:
        """What kernel and init printed."""
        return self._console.read_text(errors="replace")

    async def stop(self) -> None:
        """Power off; what does not end in time is killed."""
        process, self._process = self._process, None
        if process is None:
            return
        wire, self._wire = self._wire, None
        assert wire is not None
        wire.send({"id": -1, "off": True})
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        end_group(process)
        wire.close()

    def cut_power(self) -> None:
        """End it as a pulled plug would; ``start`` boots again."""
        process, self._process = self._process, None
        assert process is not None and self._wire is not None
        end_group(process)
        self._wire.close()
        self._wire = None

    @property
    def _console(self) -> Path:
        return self.folder / "console.log"


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the kernel and the host processes it keeps for the guest's."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
