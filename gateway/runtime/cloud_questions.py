"""The questions that a worker of a hub has to answer: each asker has its turn."""

import asyncio
from collections import deque

from gateway.core.cloud_answers import Address
from gateway.runtime.cloud_answering import Question

# As many messages as a gateway has under way at a time.
MAX_OF_ONE = 16
# Of the messages of all. Beyond that no more are taken: the broker keeps them.
MAX_BYTES = 33_554_432


class Questions:
    """Those of one asker in their order, askers in turn: none holds up the others."""

    def __init__(self) -> None:
        self._by_asker: dict[Address, deque[Question]] = {}
        self._asked = asyncio.Event()
        self._room = asyncio.Event()
        self._size = 0
        self.count = 0

    def add(self, question: Question) -> bool:
        """Whether there was room for it."""
        own = self._by_asker.setdefault(question.asker, deque())
        if len(own) >= MAX_OF_ONE:
            return False
        own.append(question)
        self.count += 1
        self._size += question.size
        self._asked.set()
        return True

    async def room(self) -> None:
        """Wait until more may come."""
        while self._size > MAX_BYTES:
            self._room.clear()
            await self._room.wait()

    async def next(self) -> Question:
        """The one to go on with; it stays until it is answered, by ``went_on``."""
        while not self._by_asker:
            self._asked.clear()
            await self._asked.wait()
        return next(iter(self._by_asker.values()))[0]

    def went_on(self, question: Question) -> None:
        """Some of it was answered: it is the turn of the next asker."""
        own = self._by_asker.pop(question.asker)
        if question.is_answered:
            own.popleft()
            self.count -= 1
            self._size -= question.size
            self._room.set()
        if own:
            self._by_asker[question.asker] = own
