"""Says things to a hub, once it is there: greets it until it answers, signs, publishes.

docs/protocol.md section 12.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

from gateway.core import messages as m
from gateway.core.bridge import Publication
from gateway.core.bridge_envelope import MAX_MESSAGE_BYTES, seal_up
from gateway.core.bridge_items import (
    MAX_BATCH_BYTES,
    Answer,
    Ask,
    Change,
    Item,
    Ping,
    Revoked,
    Turn,
    Wants,
    written,
)
from gateway.core.bridge_topics import Topics
from gateway.core.errors import GatewayError
from gateway.core.greeting import Greeting
from gateway.core.membership import Membership
from gateway.ports import BrokerLink, Clock
from gateway.runtime.bridge_projector import REFUSED
from gateway.runtime.threads import Helper

# Beside the batch of a message: key, certificate, signature and the heads of all three.
ENVELOPE_BYTES = 1_024
# A connection that takes less than this is of no use.
LEAST_BYTES = 16_384
# More than this is deflated and signed beside the loop.
HEAVY_BYTES = 8_192
# Beside an update or a state vector: a document's name and the heads of two records.
RECORD_BYTES = 256
# A worker of the hub started, and is asked within so long, at random, but not at once.
STARTED_SECONDS = 29.0
LEAST_SECONDS = 1.0
NOBODY = "broker-nobody"
SILENT, OTHER_KEY = "hub-silent", "hub-other-key"


class Talk:
    """``wants``: the collections of which changes are taken.

    ``refused(what, error)`` is told what is wrong, and by None that it is well; ``chance()`` is
    from 0 to 1.
    """

    def __init__(
        self,
        membership: Callable[[], Membership | None],
        wants: Collection[str],
        helper: Helper,
        refused: Callable[[str, GatewayError | None], None],
        draw: Callable[[int], bytes],
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._membership = membership
        self._wants = tuple(sorted(wants))
        self._helper = helper
        self._refused = refused
        self._now = clock.monotonic
        self._chance = chance
        self._greeting = Greeting(draw)
        self._link: BrokerLink | None = None
        self._topic = ""
        self._heard = asyncio.Event()
        # Whether this greeting was answered, by a hub with another key.
        self._is_mistaken = False
        self._asking = asyncio.Event()
        self._soon: asyncio.TimerHandle | None = None
        # Since when it answers; messages and their bytes, since the start.
        self.heard_at: float | None = None
        self.messages = self.sent_bytes = 0

    @property
    def limit(self) -> int:
        """Of a batch over this connection, in bytes before deflating."""
        assert self._link is not None
        most = min(self._link.most_bytes, MAX_MESSAGE_BYTES)
        return min(MAX_BATCH_BYTES, most - len(self._topic) - ENVELOPE_BYTES)

    @property
    def is_heard(self) -> bool:
        """Whether the hub answered, and nothing was refused since."""
        return self._heard.is_set()

    async def until_heard(self) -> None:
        """Return once the hub answered."""
        await self._heard.wait()

    async def serve(self, link: BrokerLink, topics: Topics) -> None:
        """Greet the hub over a connection, until it is lost. Raises ``GatewayError``."""
        self._link, self._topic = link, topics.up
        self._hold_back()
        membership = self._membership()
        assert membership is not None
        if not membership.is_gateway:
            self._refused("hub", GatewayError("hub-no-certificate", ""))
            await asyncio.Event().wait()
        if self.limit < LEAST_BYTES:
            self._refused("hub", GatewayError("broker-limits", "messages for a hub do not fit"))
            await asyncio.Event().wait()
        while True:
            self._asking.clear()
            if not self._heard.is_set():
                await self._greet()
            else:
                await self._asking.wait()

    def answered(self, nonce: int) -> None:
        """The hub says that it is there."""
        if self._greeting.answered(nonce):
            self.heard_at = self._now()
            self._refused("hub", None)
            self._heard.set()
            self._asking.set()

    def mistaken(self) -> None:
        """Somebody with another key than the hub's answers: it is said, until the hub does."""
        if not self._heard.is_set():
            self._is_mistaken = True
            self._refused("hub", GatewayError(OTHER_KEY, ""))

    def started(self) -> None:
        """A worker of the hub started: if it was missed, it is greeted soon."""
        if not self._heard.is_set() and self._soon is None:
            pause = LEAST_SECONDS + self._chance() * STARTED_SECONDS
            self._soon = asyncio.get_running_loop().call_later(pause, self._greet_again)

    def lost(self) -> None:
        """The hub does not answer any more: it is greeted again."""
        self._hold_back()
        self._asking.set()

    async def tell(self, items: Sequence[Item]) -> bool:
        """Say this; whether the broker has all of it, for somebody who listens.

        If not, nothing more is said until the hub answers again. Raises ``GatewayError`` when the
        connection is lost.
        """
        if not self._heard.is_set():
            return False
        is_taken = await self._say(items)
        if not is_taken:
            self._asking.set()
        return is_taken

    async def revoked(self, entries: Iterable[bytes]) -> None:
        """Pass revocations on, once the hub answers; all that are known go with each greeting."""
        await self.until_heard()
        with contextlib.suppress(GatewayError):
            await self.tell([Revoked(entry) for entry in entries])

    async def _greet(self) -> None:
        """Once; return when it answered, or is to be asked again."""
        membership = self._membership()
        assert membership is not None
        self._is_mistaken = False
        entries = map(Revoked, membership.revocations.entries())
        await self._say([Ping(self._greeting.ask()), Wants(self._wants), *entries])
        try:
            async with asyncio.timeout(self._greeting.pause(self._chance())):
                await self._asking.wait()
        except TimeoutError:
            if not self._is_mistaken:
                self._refused("hub", GatewayError(SILENT, ""))

    async def _say(self, items: Sequence[Item]) -> bool:
        link, topic, limit = self._link, self._topic, self.limit
        membership = self._membership()
        assert link is not None
        assert membership is not None
        seal = partial(
            seal_up, membership.keys.signing_private, membership.shown[1],
            membership.root_public, membership.peer,
        )  # fmt: skip
        if sum(map(_size, items)) > HEAVY_BYTES:
            messages = await self._helper.run(_sealed, items, limit, seal)
        else:
            messages = _sealed(items, limit, seal)
        try:
            for message in messages:
                await link.publish(Publication(topic, message, heard=True))
                self.messages += 1
                self.sent_bytes += len(message)
        except GatewayError as error:
            if error.code not in (*REFUSED, NOBODY):
                raise
            self._refused("hub", GatewayError(SILENT, "") if error.code == NOBODY else error)
            self._hold_back()
            return False
        return True

    def _greet_again(self) -> None:
        self._soon = None
        self._asking.set()

    def _hold_back(self) -> None:
        self._greeting.begin()
        self._heard.clear()
        self.heard_at = None


def _sealed(items: Iterable[Item], limit: int, seal: Callable[[bytes], bytes]) -> list[bytes]:
    # One item may be longer than the connection takes; it would keep up all others for ever.
    return [seal(batch) for batch, _ in written(items, limit) if len(batch) <= limit]


def _size(item: Item) -> int:
    match item:
        case Change(document, update) | Answer(document, _, update):
            return len(document) + len(update)
        case Ask(document, vector):
            return len(document) + len(vector)
        case Turn(ranges):
            return len(ranges)
        case _:
            return m.MAX_PAIR_VALUE_BYTES
