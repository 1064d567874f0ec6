"""A worker of a hub: takes messages, writes many at once, tells what follows, acknowledges.

It holds nothing that would be missed: what it did not acknowledge goes to another worker, and when
one is lost the gateways compare again (docs/hub.md).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from gateway.core.bridge import Pauses, Publication
from gateway.core.bridge_topics import HubTopics
from gateway.core.cloud_answers import Post
from gateway.core.errors import GatewayError
from gateway.ports import BrokerLink, Intake
from gateway.runtime.cloud_answering import Answering
from gateway.runtime.cloud_desk import Desk, Taken
from gateway.runtime.cloud_edits import CloudEdits, Verb
from gateway.runtime.cloud_shift import Shift
from gateway.runtime.threads import Helper

# Workers that share the messages of a broker.
GROUP: Final = "hub"
STARTED: Final = b"compare"
# A database is near; a worker that waits longer is idle longer.
LONGEST_PAUSE_SECONDS: Final = 10.0
# To an intake that is another connection.
GOODBYE_SECONDS: Final = 1.0
# Complaints that are logged one by one, then each that is a multiple of it.
COMPLAINTS: Final = 100

# Messages, and of these those that were not taken, that asked, were answered or given up; changes,
# and those that were refused; messages that were sent; writes of the cloud.
COUNTS: Final = (
    "messages", "wrong", "asked", "answered", "given_up",
    "changes", "refused", "published", "edits",
)  # fmt: skip

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
        """Messages that are not written, or not answered."""
        return self._shift.waiting if self._shift else 0

    def counts(self) -> dict[str, int]:
        """Figures since the start."""
        return {**{name: self._counts[name] for name in COUNTS}, "unsent": self._post.unsent}

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

    def note(self, messages: int, taken: Taken) -> None:
        """Count what became of messages, and say what was wrong with them."""
        self._counts["messages"] += messages
        self._counts["changes"] += taken.changes
        for number, why in enumerate(taken.why, self._counts["refused"] + 1):
            if number <= COMPLAINTS or number % COMPLAINTS == 0:
                log.warning("change %d that is refused, of gateway %s", number, why)
        self._counts["refused"] += taken.refused
        for word in taken.wrong:
            self._counts["wrong"] += 1
            number = self._counts["wrong"]
            if number <= COMPLAINTS or number % COMPLAINTS == 0:
                log.warning("message %d that is not taken: %s", number, word)

    def held(self, *, fits: bool) -> None:
        """A question waits for its answer, or is given up as its asker has too many."""
        self._counts["asked" if fits else "given_up"] += 1

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
            log.warning("the database: %s; it is tried again, and messages wait", error.sentence)
        elif error is None and self.trouble is not None:
            log.warning("the database is there again")
        self.trouble = error
