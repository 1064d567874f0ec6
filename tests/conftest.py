"""What every test is held to: no thread left behind, no blocked event loop, no lost failure.

Warnings are errors (pyproject.toml), which catches coroutines nobody awaited and files
nobody closed.
"""

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).parent / "core"

# A thread that was told to end gets this long; a shared two-core machine may be busy.
THREAD_END_SECONDS = 2.0

# One turn of an event loop may hold the others up this long. asyncio itself complains from
# 0.1 s on, which a busy machine reaches without a fault of the code.
BLOCKED_SECONDS = 0.5

# Nanoseconds this thread ran, and waited for a processor while others ran (Linux,
# Documentation/scheduler/sched-stats.rst).
SCHEDULE = Path("/proc/thread-self/schedstat")


def pytest_configure() -> None:
    """Let tests interrupt what they start, also in a run that a shell put in the background."""
    # Such a shell ignores SIGINT for its children, and they for theirs.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the core by their folder."""
    for item in items:
        if CORE in item.path.parents:
            item.add_marker("core")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """End a run whose failed tests left threads, for which the interpreter would wait for ever."""
    left = [
        thread.name
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and not thread.daemon
    ]
    if left:
        sys.stderr.write(f"threads left running: {', '.join(left)}\n")
        sys.stdout.flush()
        sys.stderr.flush()
        # Only a failed test leaves one (``no_thread_left``).
        os._exit(1)


class LoopComplaints(logging.Handler):
    """Collects what asyncio says about blocked loops, lost exceptions and lost tasks."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []
        self._thread = threading.get_ident()
        self._waited = _waited_seconds()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep errors, and slow callbacks above the limit."""
        blocked = _blocked_seconds(record) - self._waited_since()
        if record.levelno >= logging.ERROR or blocked > BLOCKED_SECONDS:
            self.found.append(record.getMessage())

    def _waited_since(self) -> float:
        """Of the time since the last complaint, what other processes took."""
        if threading.get_ident() != self._thread:
            return 0.0
        before, self._waited = self._waited, _waited_seconds()
        return self._waited - before


def _blocked_seconds(record: logging.LogRecord) -> float:
    # Only in debug mode, and with the same two arguments by asyncio and uvloop.
    if isinstance(record.args, tuple) and str(record.msg).startswith("Executing %"):
        seconds = record.args[1]
        return seconds if isinstance(seconds, float) else 0.0
    return 0.0


def _waited_seconds() -> float:
    try:
        return int(SCHEDULE.read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        # A kernel without it.
        return 0.0


@pytest.fixture(autouse=True)
def no_loop_complaints() -> Iterator[None]:
    """Fail a test in which an event loop was blocked or a task's failure went unseen."""
    complaints = LoopComplaints()
    logger = logging.getLogger("asyncio")
    logger.addHandler(complaints)
    yield
    # Lost tasks complain when they are collected; what a test left is young.
    gc.collect(1)
    logger.removeHandler(complaints)
    assert not complaints.found, "asyncio complains: " + "; ".join(complaints.found)


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a test that leaves a thread running."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + THREAD_END_SECONDS
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(max(0.0, deadline - time.monotonic()))
    names = [thread.name for thread in left if thread.is_alive()]
    assert not names, f"threads left behind: {', '.join(names)}"
