"""Answers to state vectors; a large one is cut into parts beside the loop.

Cutting a document of some megabytes takes seconds. What was cut is kept for the next peer
that lacks the same: after the parts it is owed what changed since (``Answer.then``).
"""

import asyncio
from collections.abc import Callable, Iterable

from gateway.core.document import Document
from gateway.core.hub import Hub
from gateway.core.outbox import Answer
from gateway.core.split import split_update
from gateway.runtime.threads import Helper

# What is kept of answers already cut, the longest unused go first.
KEPT_BYTES = 33_554_432
# Making a smaller answer costs little.
LARGE_BYTES = 65_536

_Key = tuple[str, bytes, int]


class Answers:
    """Satisfies ``Documents``. ``on_ready(document)`` is called when an answer can be had.

    ``load(document)`` has one read that nobody is in any more, but that is still owed.
    """

    def __init__(
        self,
        hub: Hub,
        helper: Helper,
        load: Callable[[str], object],
        on_ready: Callable[[str], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._hub = hub
        self._helper = helper
        self._load = load
        self._on_ready = on_ready
        self._on_error = on_error
        self._kept: dict[_Key, Answer] = {}
        self._kept_bytes = 0
        # The last large answer and what it was made of: many may join at once.
        self._whole: tuple[Document, int, bytes, Answer] | None = None
        self._cutting: dict[_Key, asyncio.Task[None]] = {}

    def answer(self, document: str, state_vector: bytes, limit: int) -> Answer | None:
        """See ``Documents``."""
        key = (document, state_vector, limit)
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._kept[key] = kept
            return kept
        if key in self._cutting:
            return None
        room = self._hub.rooms.get(document)
        if room is None or room.document is None:
            self._load(document)
            return None
        whole = self._whole
        if whole is None or whole[:3] != (room.document, room.document.version, state_vector):
            answer = self._hub.answer(document, state_vector)
            assert answer is not None
            if len(answer.parts[0]) >= LARGE_BYTES:
                self._whole = (room.document, room.document.version, state_vector, answer)
        else:
            answer = whole[3]
        if len(answer.parts[0]) <= limit:
            return answer
        then = self._hub.rooms[document].state_vector()
        task = asyncio.get_running_loop().create_task(self._cut(key, answer.parts[0], then))
        self._cutting[key] = task
        task.add_done_callback(self._ended)
        return None

    def presence(self, document: str, clients: Iterable[int] | None) -> list[bytes]:
        """See ``Documents``."""
        return self._hub.presence(document, clients)

    async def _cut(self, key: _Key, update: bytes, then: bytes) -> None:
        document, _, limit = key
        try:
            parts = await self._helper.run(split_update, update, limit)
        finally:
            del self._cutting[key]
        self._kept[key] = Answer(tuple(parts), b"", then)
        self._kept_bytes += sum(map(len, parts))
        while self._kept_bytes > KEPT_BYTES and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._kept_bytes -= sum(map(len, self._kept.pop(oldest).parts))
        self._on_ready(document)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_error(error)
