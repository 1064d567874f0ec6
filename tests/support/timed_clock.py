"""Time that a process and its test share by a file, and that the test lets go on faster.

It is the machine's monotonic clock and seconds that were added to it. They are added in steps, and
only while the process has nothing to do: what is on its way over real sockets arrives before more
time has passed. The file outlives the process, so the next one goes on from the same moment.
"""

import asyncio
import mmap
import os
import selectors
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

# How long nothing may come before time goes on: an answer on this machine takes less.
QUIET_SECONDS = 0.002
# So much is added at once: less than any patience of the gateway for a link (15 s, 45 s).
STEP_SECONDS = 10.0
# How soon a process that waits notices that it is to be later.
NOTICE_SECONDS = 0.02
PATIENCE_SECONDS = 120.0
# Added so far, to be added, quiet, step, and whether time is to run by itself so many times faster.
_FORM = struct.Struct("<5d")
_ADDED, _WANTED, _QUIET, _STEP, _SPEED = range(0, 40, 8)


class TimedClock:
    """Both sides of the file; satisfies ``Clock``. Only the process adds."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(handle).st_size < _FORM.size:
                os.pwrite(handle, _FORM.pack(0.0, 0.0, QUIET_SECONDS, STEP_SECONDS, 1.0), 0)
            self._page = mmap.mmap(handle, _FORM.size)
        finally:
            os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._page.close()

    def monotonic(self) -> float:
        """Seconds since some fixed moment, the added ones too."""
        return time.monotonic() + self._get(_ADDED)

    @property
    def added(self) -> float:
        """Seconds added so far."""
        return self._get(_ADDED)

    @property
    def behind(self) -> float:
        """Seconds that are still to be added."""
        return max(0.0, self._get(_WANTED) - self._get(_ADDED))

    @property
    def quiet(self) -> float:
        """See ``pace``."""
        return self._get(_QUIET)

    @property
    def speed(self) -> float:
        """See ``run_at``."""
        return self._get(_SPEED)

    def pace(self, quiet: float = QUIET_SECONDS, step: float = STEP_SECONDS) -> None:
        """How long nothing has to come before the next step, and how long a step is."""
        self._set(_QUIET, quiet)
        self._set(_STEP, step)

    def run_at(self, speed: float) -> None:
        """Let time run by itself, at most so many times faster; 1: as it is."""
        self._set(_SPEED, speed)

    def want(self, seconds: float) -> None:
        """Let so many seconds be added; returns at once."""
        self._set(_WANTED, self._get(_WANTED) + seconds)

    def advance(self, seconds: float, patience: float = PATIENCE_SECONDS) -> None:
        """Let so many seconds be added, and wait until they are.

        ``patience`` counts from the last moment at which some were: a process that was killed
        may be started again meanwhile.
        """
        self.want(seconds)
        before, moved = self.behind, time.monotonic()
        while left := self.behind:
            if left < before:
                before, moved = left, time.monotonic()
            assert time.monotonic() - moved < patience, f"time stands still, {left} s are missing"
            time.sleep(0.001)

    def add(self) -> bool:
        """Of the process: add a step, if there is to be one."""
        seconds = min(self.behind, self._get(_STEP))
        self._set(_ADDED, self._get(_ADDED) + seconds)
        return seconds > 0

    def _get(self, place: int) -> float:
        value: float = struct.unpack_from("<d", self._page, place)[0]
        return value

    def _set(self, place: int, value: float) -> None:
        struct.pack_into("<d", self._page, place, value)


class _Selector(selectors.DefaultSelector):
    """Waits as the real one does; when nothing comes, time goes on."""

    def __init__(self, clock: TimedClock) -> None:
        super().__init__()
        self._clock = clock
        self._looked = time.monotonic()

    def select(self, timeout: float | None = None) -> Any:
        clock = self._clock
        self._run()
        if timeout is not None and timeout <= 0:
            return super().select(0)
        end = None if timeout is None else clock.monotonic() + timeout
        while True:
            left = NOTICE_SECONDS if end is None else max(0.0, end - clock.monotonic())
            ready = super().select(min(left, clock.quiet if clock.behind else NOTICE_SECONDS))
            self._run()
            if ready or (not clock.add() and left == 0):
                return ready
            if end is not None and clock.monotonic() >= end:
                return ready

    def _run(self) -> None:
        """Let time run by itself, if it is to."""
        now, before = time.monotonic(), self._looked
        self._looked = now
        if self._clock.speed > 1 and not self._clock.behind:
            self._clock.want((self._clock.speed - 1) * (now - before))


class TimedLoop(asyncio.SelectorEventLoop):
    """The stock loop with timers that go by a ``TimedClock``; real sockets, threads and signals."""

    def __init__(self, clock: TimedClock) -> None:
        self._clock = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        """Seconds of the clock."""
        return self._clock.monotonic()


def loop_of(clock: TimedClock) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes loops that live in this time."""
    return lambda: TimedLoop(clock)
