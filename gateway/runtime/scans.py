"""Walks through many documents for the hub, beside everything else."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from gateway.core.events import Walk

# Documents visited before the others have their turn.
SCAN_DOCUMENTS = 8


class Scans:
    """The walks that are under way.

    ``names(walk)`` gives its documents; ``visit(walk, document)`` looks at one, and says
    whether to go on; ``done(walk)`` is called when it visited all; ``on_error`` when it fails.
    """

    def __init__(
        self,
        names: Callable[[Walk], Awaitable[Collection[str]]],
        visit: Callable[[Walk, str], Awaitable[bool]],
        done: Callable[[Walk], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._names = names
        self._visit = visit
        self._done = done
        self._on_error = on_error
        # Whether one is to be done once more: it was asked for in the middle of it.
        self._again: dict[Walk, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, walk: Walk) -> None:
        """Visit all documents of a walk."""
        runs = walk in self._again
        self._again[walk] = True
        if not runs:
            task = asyncio.get_running_loop().create_task(self._run(walk))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def _run(self, walk: Walk) -> None:
        try:
            while self._again[walk]:
                self._again[walk] = False
                if not await self._visit_all(walk):
                    return
        finally:
            del self._again[walk]
        self._done(walk)

    async def _visit_all(self, walk: Walk) -> bool:
        for number, name in enumerate(await self._names(walk), 1):
            if not await self._visit(walk, name):
                return False
            if not number % SCAN_DOCUMENTS:
                await asyncio.sleep(0)
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_error(error)
