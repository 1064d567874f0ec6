"""The questions that a worker of a hub has to answer: each store has its turn."""

import asyncio
from collections import deque

from gateway.core.cloud_answers import Address
from gateway.runtime.cloud_answering import Question

# As many messages as a gateway has under way at a time.
MAX_OF_ONE = 16
# Of what a store asks; beyond the second, of all, nobody asks more who has asked already.
MAX_STORE_BYTES = 8_388_608
MAX_BYTES = 33_554_432
# Beyond that no more messages are taken: the broker keeps them.
FULL_BYTES = 2 * MAX_BYTES


class Questions:
    """Stores in turn, one question of each at a time: what it takes to answer is held once for a
    store, however many gateways it has. Gateways of a store in turn, questions in their order."""

    def __init__(self) -> None:
        self._stores: dict[str, dict[Address, deque[Question]]] = {}
        self._sizes: dict[str, int] = {}
        self._asked = asyncio.Event()
        self._room = asyncio.Event()
        self._size = 0
        self.count = 0

    def add(self, question: Question) -> bool:
        """Whether there was room for it."""
        store = question.asker.store
        size = self._sizes.get(store, 0)
        own = self._stores.get(store, {}).get(question.asker, ())
        if len(own) >= MAX_OF_ONE or size > MAX_STORE_BYTES or (size and self._size > MAX_BYTES):
            return False
        askers = self._stores.setdefault(store, {})
        askers.setdefault(question.asker, deque()).append(question)
        self._count(question, 1)
        self._asked.set()
        return True

    async def room(self) -> None:
        """Wait until more may come."""
        while self._size > FULL_BYTES:
            self._room.clear()
            await self._room.wait()

    async def next(self) -> Question:
        """The one to go on with; it stays until it is answered, by ``went_on``."""
        while not self._stores:
            self._asked.clear()
            await self._asked.wait()
        askers = next(iter(self._stores.values()))
        return next(iter(askers.values()))[0]

    def went_on(self, question: Question) -> None:
        """Some of it was answered: it is the turn of the next store."""
        asker = question.asker
        askers = self._stores.pop(asker.store)
        if question.is_answered:
            own = askers.pop(asker)
            own.popleft()
            if own:
                askers[asker] = own
            self._count(question, -1)
            self._room.set()
        if askers:
            self._stores[asker.store] = askers

    def _count(self, question: Question, sign: int) -> None:
        """Count one more, or one less."""
        store = question.asker.store
        self.count += sign
        self._size += sign * question.size
        self._sizes[store] = self._sizes.get(store, 0) + sign * question.size
        if not self._sizes[store]:
            del self._sizes[store]
