"""Answers to state vectors; a large one is cut into parts beside the loop.

Cutting a document of some megabytes takes seconds. What was cut is kept for the next peer
that lacks the same: after the parts it is owed what changed since (``Answer.then``).
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple
from weakref import ref

from gateway.core.document import Document
from gateway.core.hub import Hub
from gateway.core.outbox import Answer
from gateway.core.split import split_update
from gateway.runtime.threads import Helper

# What is kept of answers already cut, the longest unused go first.
KEPT_BYTES = 33_554_432
# Making a smaller answer costs little.
LARGE_BYTES = 65_536

# All large answers that are kept whole, the longest unused go first.
WHOLE_BYTES = 16_777_216

_Key = tuple[str, bytes, int]


class _Made(NamedTuple):
    """An answer, and the document, its version and the state vector it was made of."""

    document: ref[Document]
    version: int
    known: bytes
    answer: Answer


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
        # The last large answer of a document and what it was made of: many may join at once.
        self._whole: dict[str, _Made] = {}
        self._whole_bytes = 0
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
        answer = self._made_before(document, room.document, state_vector)
        if answer is None:
            answer = self._hub.answer(document, state_vector)
            assert answer is not None
            self._keep_whole(document, room.document, state_vector, answer)
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

    def _made_before(self, name: str, document: Document, known: bytes) -> Answer | None:
        made = self._whole.pop(name, None)
        if made is None:
            return None
        if (made.document(), made.version, made.known) == (document, document.version, known):
            self._whole[name] = made
            return made.answer
        self._whole_bytes -= len(made.answer.parts[0])
        return None

    def _keep_whole(self, name: str, document: Document, known: bytes, answer: Answer) -> None:
        size = len(answer.parts[0])
        if not LARGE_BYTES <= size <= WHOLE_BYTES:
            return
        self._whole[name] = _Made(ref(document), document.version, known, answer)
        self._whole_bytes += size
        while self._whole_bytes > WHOLE_BYTES:
            oldest = self._whole.pop(next(iter(self._whole)))
            self._whole_bytes -= len(oldest.answer.parts[0])

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
