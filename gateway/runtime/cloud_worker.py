"""A worker of a hub: takes messages, writes many at once, tells what follows, acknowledges.

It holds nothing that would be missed: what it did not acknowledge goes to another worker, or the
gateways compare again (docs/hub.md).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from gateway.core.bridge import Message, Pauses, Publication
from gateway.core.bridge_topics import HubTopics
from gateway.core.cloud_answers import Post
from gateway.core.cloud_records import CloudChange
from gateway.core.errors import GatewayError
from gateway.ports import BrokerLink, Intake
from gateway.runtime.cloud_answering import Answering, Question
from gateway.runtime.cloud_desk import Desk, Taken
from gateway.runtime.cloud_edits import CloudEdits, Verb
from gateway.runtime.cloud_questions import Questions
from gateway.runtime.threads import Helper

# Workers that share the messages of a broker.
GROUP: Final = "hub"
STARTED: Final = b"compare"
# Messages of one transaction. More gain little: 100 share what the disk takes for one.
MAX_BATCH: Final = 100
# A database is near; a worker that waits longer is idle longer.
LONGEST_PAUSE_SECONDS: Final = 10.0
# To an intake that is another connection.
GOODBYE_SECONDS: Final = 1.0
# Complaints that are logged one by one, then each that is a multiple of it.
COMPLAINTS: Final = 100

Result = TypeVar("Result")
Hearing = Callable[[BrokerLink, HubTopics], Awaitable[Intake]]
# A message that is not taken; the connection goes on.
_REFUSALS: Final = frozenset(
    {"broker-topic-denied", "broker-quota", "broker-limits", "broker-refused"}
)

log = logging.getLogger("gateway.hub")


def compare(topics: HubTopics) -> Publication:
    """Tells gateways to compare: a worker came, or went with what it had not written."""
    return Publication(topics.hub, STARTED)


async def shared(link: BrokerLink, topics: HubTopics) -> Intake:
    """The messages of gateways from the broker itself. Raises as ``BrokerLink`` does."""
    if not await link.share(GROUP, [topics.up]):
        log.warning("the broker speaks MQTT 3.1.1 only: there may be one worker, no more")
    await link.publish(compare(topics))
    return link


class CloudWorker:
    """Satisfies ``Work``. ``hear(link, topics)`` opens the intake for a connection.

    ``refused(what, error)``: see ``Bridge.refused``; ``chance()`` is from 0 to 1.
    """

    def __init__(
        self,
        desk: Desk,
        answering: Answering,
        edits: CloudEdits,
        post: Post,
        helper: Helper,
        hear: Hearing,
        refused: Callable[[str, GatewayError | None], None],
        chance: Callable[[], float],
    ) -> None:
        self.desk = desk
        self.answering = answering
        self._edits = edits
        self._post = post
        self._helper = helper
        self._hear = hear
        self._refused = refused
        self._chance = chance
        self._shift: Shift | None = None
        self._counts: Counter[str] = Counter()
        self._denied: set[str] = set()
        # Why the database is not there.
        self.trouble: GatewayError | None = None

    def stored(self, documents: Collection[str]) -> None:
        """See ``Work``: a hub has no documents in memory."""

    def over(self, link: BrokerLink, topics: HubTopics) -> Sequence[Coroutine[None, None, None]]:
        """See ``Work``."""
        return (self._serve(link, topics),)

    @property
    def is_hearing(self) -> bool:
        """Whether messages of gateways come here."""
        return self._shift is not None

    def waiting(self) -> int:
        """Messages that are not acknowledged."""
        return self._shift.waiting if self._shift else 0

    def counts(self) -> dict[str, int]:
        """Figures since the start: ``messages``, ``changes``, ``refused``, ``wrong``, ``answered``,
        ``published``, ``edits``."""
        names = ("messages", "changes", "refused", "wrong", "answered", "published", "edits")
        return {**{name: self._counts[name] for name in names}, "unsent": self._post.unsent}

    def hub(self) -> Mapping[str, Any]:
        """See ``Work``: it is the hub."""
        return {}

    def limit(self, link: BrokerLink) -> int:
        """Bytes of a batch over a connection."""
        return self._post.limit(link.most_bytes)

    async def edit(
        self, space: str, document: str, verb: Verb, content: Mapping[str, Any], root: str = ""
    ) -> bool:
        """Put or patch a document; whether that changed it. It is written on return, and told to
        the gateways that want it, while there is a connection. Raises as ``CloudEdits.edit``."""
        change = await self._helper.run(self._edits.edit, space, document, verb, content, root)
        if change is None:
            return False
        self._counts["edits"] += 1
        if self._shift is not None:
            self._shift.tell(change)
        return True

    async def database(self, function: Callable[..., Result], *arguments: object) -> Result:
        """The result of something in the thread of the store, tried until the database is there."""
        pauses = Pauses()
        while True:
            try:
                result = await self._helper.run(function, *arguments)
            except GatewayError as error:
                if not error.code.startswith("hub-database-"):
                    raise
                self._miss(error)
                pause = min(pauses.after(0.0, self._chance()), LONGEST_PAUSE_SECONDS)
                await asyncio.sleep(pause)
            else:
                self._miss(None)
                return result

    async def publish(self, link: BrokerLink, publications: Sequence[Publication]) -> None:
        """Publish all of it. Raises ``GatewayError`` when the connection is lost."""
        await asyncio.gather(*(self._publish(link, one) for one in publications))

    def note(self, taken: Taken) -> None:
        """Count what became of messages, and say what was wrong with them."""
        self._counts["changes"] += taken.changes
        self._counts["refused"] += taken.refused
        self._counts["messages"] += len(taken.done) + len(taken.questions)
        for word in taken.wrong:
            self._counts["wrong"] += 1
            number = self._counts["wrong"]
            if number <= COMPLAINTS or number % COMPLAINTS == 0:
                log.warning("message %d that is not taken: %s", number, word)

    def answered(self) -> None:
        """All that a message asked was answered."""
        self._counts["answered"] += 1

    async def _serve(self, link: BrokerLink, topics: HubTopics) -> None:
        intake = await self._hear(link, topics)
        self._shift = Shift(self, link, intake)
        try:
            await self._shift.run()
        finally:
            self._shift = None
            if intake is not link:
                await intake.close(GOODBYE_SECONDS)

    async def _publish(self, link: BrokerLink, publication: Publication) -> None:
        try:
            await link.publish(publication)
        except GatewayError as error:
            if error.code not in _REFUSALS:
                raise
            self._denied.add(error.code)
            self._refused("answers", error)
            return
        self._counts["published"] += 1
        if self._denied:
            self._denied.clear()
            self._refused("answers", None)

    def _miss(self, error: GatewayError | None) -> None:
        if error is not None and self.trouble is None:
            log.warning("the database: %s; messages wait", error.sentence)
        elif error is None and self.trouble is not None:
            log.warning("the database is there again")
        self.trouble = error


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
        """Messages that are not acknowledged."""
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
            self._worker.note(taken)
            await self._worker.publish(self._link, taken.publications)
            too_many = [one.message for one in taken.questions if not self._questions.add(one)]
            for message in (*taken.done, *too_many):
                self._intake.done(message)
            self._taking = 0

    async def _answer(self) -> None:
        while True:
            question = await self._questions.next()
            await self._worker.publish(self._link, await self._slice(question))
            self._questions.went_on(question)
            if question.is_answered:
                self._intake.done(question.message)
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

    async def _tell(self, change: CloudChange) -> None:
        try:
            relayed = self._worker.desk.relayed
            found = await self._worker.database(relayed, [(None, change)], self._limit)
            await self._worker.publish(self._link, found)
        except GatewayError:
            # The gateways are told when they compare.
            log.info("a change of the cloud was not told to all")
