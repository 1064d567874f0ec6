"""The only door between the event loop and other threads."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class Door:
    """Lets one foreign thread call into the loop; calls after the loop ended are dropped."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._open = True

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Run ``function`` in the loop, soon."""
        with self._lock:
            if self._open:
                self._loop.call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        """Nothing comes through any more."""
        with self._lock:
            self._open = False


class Helper:
    """One thread for work that would hold the loop up; results come back by await."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, function: Callable[..., Result], *arguments: object) -> Result:
        """The result of ``function``, computed in the helper thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    def close(self) -> None:
        """Finish what runs and end the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)
