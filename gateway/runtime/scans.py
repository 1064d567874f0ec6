"""Walks through many documents for the hub, beside everything else."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from gateway.core.events import Bring, Offer, Scan, Walk
from gateway.core.session import Session

# All walks together go on for so long before the others have their turn.
SLICE_SECONDS = 0.002
# After a walk the same one begins again not before so many times as long as it took, 10 s at
# most: who changes a subscription all the time gets a fifth of a processor for it.
REST = 4.0
LONGEST_REST_SECONDS = 10.0


class Scans:
    """The walks that are under way; of one session's subscriptions one at a time.

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
        self._loop = asyncio.get_running_loop()
        # What is to be walked, by whose it is; again, if it was asked for in the middle of it.
        self._queues: dict[object, dict[Walk, None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # When a walk may be made again.
        self._rests: dict[Walk, float] = {}
        # When the slice of this loop turn ends; who comes later waits for another turn.
        self._slice_ends = 0.0
        self._turn = asyncio.Lock()

    def begin(self, walk: Walk) -> None:
        """Visit all documents of a walk."""
        owner = walk.owner if isinstance(walk, Scan) else walk
        queue = self._queues.get(owner)
        if queue is None:
            queue = self._queues[owner] = {}
            task = self._loop.create_task(self._run(owner, queue))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        queue[walk] = None

    def busy(self, session: Session) -> bool:
        """Whether a walk for a session is under way."""
        return any(
            owner is session or (isinstance(owner, Bring | Offer) and owner.session is session)
            for owner in self._queues
        )

    async def _run(self, owner: object, queue: dict[Walk, None]) -> None:
        try:
            while queue:
                walk = next(iter(queue))
                await asyncio.sleep(self._rests.get(walk, 0.0) - self._loop.time())
                del queue[walk]
                if not await self._visit_all(walk):
                    return
                if walk not in queue:
                    self._done(walk)
        finally:
            del self._queues[owner]

    async def _visit_all(self, walk: Walk) -> bool:
        began = self._loop.time()
        for name in await self._names(walk):
            if self._loop.time() >= self._slice_ends:
                await self._next_slice()
            if not await self._visit(walk, name):
                return False
        now = self._loop.time()
        self._rests = {one: until for one, until in self._rests.items() if until > now}
        self._rests[walk] = now + min(REST * (now - began), LONGEST_REST_SECONDS)
        return True

    async def _next_slice(self) -> None:
        async with self._turn:
            await asyncio.sleep(0)
            self._slice_ends = self._loop.time() + SLICE_SECONDS

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_error(error)
