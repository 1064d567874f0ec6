"""Time that a process and its test share by a file, and that the test lets go on faster.

It is the machine's monotonic clock and seconds that were added to it. They are added in steps, and
only while the process has nothing to do, none of its calls is under way in a thread of the loop's
executor, and *witnesses*, if there are any, said that they took all that it sent them: what is on
its way over real sockets arrives before more time has passed, however slow the machine is. The
file outlives the process, so the next one goes on from the same moment.
"""

import asyncio
import math
import mmap
import os
import selectors
import struct
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Self

# How long nothing may come before time goes on: an answer on this machine takes less.
QUIET_SECONDS = 0.001
# So much is added at once: less than any patience of the gateway for a link (15 s, 45 s).
STEP_SECONDS = 10.0
# How soon a process that waits notices that it is to be later.
NOTICE_SECONDS = 0.02
PATIENCE_SECONDS = 120.0
# Added so far, to be added, quiet, step, whether time is to run by itself so many times faster; how
# often witnesses were asked, how many there are, and what each was asked last.
MOST_WITNESSES = 8
_FORM = struct.Struct(f"<{7 + MOST_WITNESSES}d")
_ADDED, _WANTED, _QUIET, _STEP, _SPEED, _ASKED, _WITNESSES, _SEEN = range(0, 64, 8)
_NEW = (0.0, 0.0, QUIET_SECONDS, STEP_SECONDS, 1.0, *[0.0] * (2 + MOST_WITNESSES))


class TimedClock:
    """Both sides of the file; satisfies ``Clock``. Only the process adds."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(handle).st_size < _FORM.size:
                os.pwrite(handle, _FORM.pack(*_NEW), 0)
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

    def watch(self, witnesses: int) -> None:
        """So many others have to say ``saw`` before each step."""
        assert witnesses <= MOST_WITNESSES
        self._set(_WITNESSES, witnesses)

    @property
    def asked(self) -> float:
        """Of a witness: what to say to ``saw``, after having looked for what came."""
        return self._get(_ASKED)

    def saw(self, witness: int, asked: float) -> None:
        """Of witness 0, 1, …: all that had come when ``asked`` was read is taken, and answered."""
        self._set(_SEEN + 8 * witness, asked)

    def ask(self) -> None:
        """Of the process: ask the witnesses."""
        self._set(_ASKED, self._get(_ASKED) + 1)

    def answered(self) -> bool:
        """Of the process: whether all have answered."""
        number = int(self._get(_WITNESSES))
        return all(self._get(_SEEN + 8 * one) >= self._get(_ASKED) for one in range(number))

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

    def add(self) -> None:
        """Of the process: add a step, if there is to be one."""
        self._set(_ADDED, self._get(_ADDED) + min(self.behind, self._get(_STEP)))

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
        self._has_asked = False
        # Calls under way in the executor.
        self.busy = 0

    def select(self, timeout: float | None = None) -> Any:
        clock = self._clock
        self._run()
        if timeout is not None and timeout <= 0:
            return super().select(0)
        end = math.inf if timeout is None else clock.monotonic() + timeout
        while True:
            may_add = clock.behind > 0 and not self.busy
            if may_add and not self._has_asked:
                # Nothing is left to do, so all that they are to hear was sent.
                clock.ask()
                self._has_asked = True
            longest = clock.quiet if may_add else NOTICE_SECONDS
            ready = super().select(max(0.0, min(end - clock.monotonic(), longest)))
            self._run()
            if ready:
                # What came may be answered: whoever hears that has to be asked anew.
                self._has_asked = False
            if ready or clock.monotonic() >= end:
                return ready
            if may_add and clock.answered():
                clock.add()
                self._has_asked = False

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
        self._waits = _Selector(clock)
        super().__init__(self._waits)

    def time(self) -> float:
        """Seconds of the clock."""
        return self._clock.monotonic()

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """As it is; no time is added until it is done."""

        def done(_: object) -> None:
            self._waits.busy -= 1

        future = super().run_in_executor(executor, func, *args)
        self._waits.busy += 1
        future.add_done_callback(done)
        return future


def loop_of(clock: TimedClock) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes loops that live in this time."""
    return lambda: TimedLoop(clock)
