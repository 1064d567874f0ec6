"""Tasks that begin and end together, inside the one TaskGroup of the process."""

import asyncio
from collections.abc import Coroutine


class Tasks:
    """``group`` is set before anything is spawned."""

    def __init__(self) -> None:
        self.group: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run something until it ends or ``cancel`` is called."""
        assert self.group is not None
        task = self.group.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def cancel(self) -> None:
        """Cancel what still runs."""
        for task in list(self._running):
            task.cancel()
