"""Looks through collections for what sessions subscribed to, beside everything else."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from gateway.core.events import Scan
from gateway.core.session import Session

# Documents looked through before the others have their turn.
SCAN_DOCUMENTS = 8


class Scans:
    """The scans that are under way.

    ``names()`` gives all documents; ``consider(session, document)`` looks at one, and says
    whether the session is still there; ``on_error`` is called when a scan fails.
    """

    def __init__(
        self,
        names: Callable[[], Awaitable[Collection[str]]],
        consider: Callable[[Session, str], Awaitable[bool]],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._names = names
        self._consider = consider
        self._on_error = on_error
        # Whether a scan is to be done once more: something was asked for in the middle of it.
        self._again: dict[Scan, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, scan: Scan) -> None:
        """Look through a collection for a session."""
        runs = scan in self._again
        self._again[scan] = True
        if not runs:
            task = asyncio.get_running_loop().create_task(self._run(scan))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def _run(self, scan: Scan) -> None:
        try:
            while self._again[scan]:
                self._again[scan] = False
                if not await self._look_through(scan):
                    return
        finally:
            del self._again[scan]

    async def _look_through(self, scan: Scan) -> bool:
        prefix = f"{scan.collection}/"
        names = sorted(name for name in await self._names() if name.startswith(prefix))
        for number, name in enumerate(names, 1):
            if not await self._consider(scan.session, name):
                return False
            if not number % SCAN_DOCUMENTS:
                await asyncio.sleep(0)
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_error(error)
