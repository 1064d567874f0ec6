"""The work of a worker of a hub over one connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from gateway.core.bridge import Message, Publication
from gateway.core.cloud_records import CloudChange
from gateway.core.errors import GatewayError
from gateway.ports import BrokerLink, Intake
from gateway.runtime.cloud_answering import Question
from gateway.runtime.cloud_desk import some_of
from gateway.runtime.cloud_questions import Questions

if TYPE_CHECKING:
    from gateway.runtime.cloud_worker import CloudWorker

# Messages of one transaction. More gain little: 100 share what the disk takes for one.
MAX_BATCH: Final = 100

log = logging.getLogger("gateway.hub")


class Shift:
    """The work over one connection; what it does not finish it leaves to others."""

    def __init__(self, worker: CloudWorker, link: BrokerLink, intake: Intake) -> None:
        self._worker = worker
        self._link = link
        self._intake = intake
        self._limit = worker.limit(link)
        # The next batch; what is beyond it the intake holds, within its bounds.
        self._messages: asyncio.Queue[Message] = asyncio.Queue(MAX_BATCH)
        self._questions = Questions()
        self._taking = 0
        self._told: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Messages that are not written, or not answered."""
        return self._messages.qsize() + self._taking + self._questions.count

    async def run(self) -> None:
        """Raises ``GatewayError`` once the connection, or the intake, is lost."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (self._hear(), self._take(), self._answer()):
                    tasks.create_task(work)
        finally:
            for task in self._told:
                task.cancel()

    def tell(self, change: CloudChange) -> None:
        """Tell a change of the cloud itself to the gateways that want it, soon."""
        task = asyncio.ensure_future(self._tell(change))
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def _hear(self) -> None:
        while True:
            await self._messages.put(await self._intake.message())

    async def _take(self) -> None:
        while True:
            messages = [await self._messages.get()]
            while not self._messages.empty() and len(messages) < MAX_BATCH:
                messages.append(self._messages.get_nowait())
            self._taking = len(messages)
            taken = await self._worker.database(self._worker.desk.take, messages, self._limit)
            self._worker.note(len(messages), taken)
            await self._worker.publish(self._link, taken.publications)
            if taken.more is not None:
                await self._publish(taken.more)
            for message in messages:
                # In their order (MQTT 5.0 section 4.6); so what they ask is answered afterwards.
                self._intake.done(message)
            for question in taken.questions:
                self._worker.held(fits=self._questions.add(question))
            self._taking = 0
            await self._questions.room()

    async def _answer(self) -> None:
        while True:
            question = await self._questions.next()
            await self._worker.publish(self._link, await self._slice(question))
            self._questions.went_on(question)
            if question.is_answered:
                self._worker.answered()

    async def _slice(self, question: Question) -> Sequence[Publication]:
        try:
            go_on = self._worker.answering.go_on
            return await self._worker.database(go_on, question, self._limit)
        except Exception:
            # A mistake of ours: the gateway asks again with its next exchange.
            log.exception("a question could not be answered")
            question.give_up()
            return ()

    async def _publish(self, publications: Iterator[Publication]) -> None:
        is_all = False
        while not is_all:
            some, is_all = await self._worker.database(some_of, publications)
            await self._worker.publish(self._link, some)

    async def _tell(self, change: CloudChange) -> None:
        try:
            relayed = self._worker.desk.relayed
            found = await self._worker.database(relayed, [(None, change)], self._limit)
            await self._publish(found)
        except GatewayError:
            # The gateways are told when they compare.
            log.info("a change of the cloud was not told to all")
