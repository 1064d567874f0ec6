"""Updates both ways with a hub: what is done for it over a connection, and how it stands.

docs/protocol.md section 12.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.bridge_items import Ask
from gateway.core.bridge_topics import Topics
from gateway.core.errors import GatewayError
from gateway.ports import BrokerLink, Clock, RelayingStore
from gateway.runtime.bridge_compare import Compare
from gateway.runtime.bridge_down import Downwards
from gateway.runtime.bridge_inbox import Declined, Inbox
from gateway.runtime.bridge_outbox import Bounds
from gateway.runtime.bridge_projector import REFUSED
from gateway.runtime.bridge_relay import Upwards
from gateway.runtime.bridge_shelf import Shelf
from gateway.runtime.bridge_talk import Talk
from gateway.runtime.members import Members
from gateway.runtime.perform import Performer
from gateway.runtime.threads import Helper


@dataclass(frozen=True, slots=True)
class HubTerms:
    """``key``: the hub's public key. ``up``: the collections whose changes are sent, None: all;
    ``down``: those that the hub may change here; ``most_bytes`` wait at most."""

    key: bytes
    up: Sequence[str] | None
    down: Sequence[str]
    most_bytes: int


class HubWork:
    """Made before the store's thread is started: from now on changes wait for the hub.

    ``refused(what, error)`` is told what is wrong, and by None that it is well."""

    def __init__(
        self,
        terms: HubTerms,
        members: Members,
        performer: Performer,
        store: RelayingStore,
        helper: Helper,
        declined: Declined,
        refused: Callable[[str, GatewayError | None], None],
        draw: Callable[[int], bytes],
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        def membership() -> Any:
            return members.membership

        self._now = clock.monotonic
        self._refused = refused
        self._decline = declined
        store.relay(terms.up)
        shelf = Shelf(performer, store, helper)
        self.talk = Talk(membership, terms.down, helper, refused, draw, clock, chance)
        self.upwards = Upwards(terms.up, shelf, self.talk, helper, clock)
        both = None if terms.up is None else sorted({*terms.up, *terms.down})
        self.compare = Compare(
            both, terms.down, self.upwards, shelf, self.talk, performer, declined, draw, clock,
            chance,
        )  # fmt: skip
        self.downwards = Downwards(
            terms.key, terms.down, self.upwards.relay.sends, membership, self, performer, helper,
            declined,
        )  # fmt: skip
        self._bounds = Bounds(self.upwards, shelf, helper, terms.most_bytes)
        self._revoked: asyncio.Queue[Sequence[bytes]] = asyncio.Queue()
        members.watch(lambda entries: self._revoked.put_nowait(tuple(entries)))

    async def keep(self) -> None:
        """Keep what waits within its bounds, for ever."""
        await self._bounds.keep()

    def over(
        self, link: BrokerLink, topics: Topics, inbox: Inbox
    ) -> Sequence[Coroutine[None, None, None]]:
        """What goes on over a connection."""
        return (
            self._hear(link, topics, inbox),
            self.talk.serve(link, topics),
            self.upwards.serve(),
            self.compare.serve(self._ended),
            self.downwards.serve(link, topics, inbox),
            self._keep_revoking(),
        )

    def stored(self, documents: Collection[str]) -> None:
        """Changes of these are on the disk. Does not wait."""
        self.upwards.stored(documents)

    def waiting(self) -> int:
        """How many documents are not known to be at the hub as they are here."""
        status = self.upwards.status
        return max(status.documents, self.upwards.relay.waiting) + self.compare.left

    @property
    def sent(self) -> int:
        """How many changes were sent since the start."""
        return self.upwards.sent

    def counts(self) -> dict[str, int]:
        """Figures since the start."""
        return {
            "sent": self.upwards.sent,
            "sent_messages": self.talk.messages,
            "sent_bytes": self.talk.sent_bytes,
            "taken": self.downwards.taken,
        }

    def status(self) -> Mapping[str, Any]:
        """What the status says beside: what waits, what is compared, whether the hub is there."""
        now, status, relay = self._now(), self.upwards.status, self.upwards.relay
        compare, heard_at = self.compare, self.talk.heard_at
        return {
            "outbox": {
                "bytes": status.bytes,
                "documents": status.documents,
                "too_long": relay.aside,
                "oldest_s": _rounded(relay.oldest_seconds(now)),
                "drain_s": _rounded(self.upwards.rate.seconds(status.bytes, now)),
                "left": status.left,
            },
            "compare": {
                "running": compare.is_running,
                "documents": compare.left,
                "differed": compare.differed,
                "unanswered": compare.unanswered,
                "ended_s": None if compare.ended_at is None else _rounded(now - compare.ended_at),
            },
            "hub": {
                "heard": self.talk.is_heard,
                "heard_s": None if heard_at is None else _rounded(now - heard_at),
            },
        }

    def answered(self, nonce: int) -> None:
        """See ``Concerned``."""
        self.talk.answered(nonce)

    def mistaken(self) -> None:
        """See ``Concerned``."""
        self.talk.mistaken()

    def turned(self, ranges: bytes) -> None:
        """See ``Concerned``."""
        self.compare.turned(ranges)

    def told(self, document: str) -> None:
        """See ``Concerned``."""
        self.compare.told(document)

    def missed(self, document: str) -> None:
        """See ``Concerned``."""
        self.compare.missed(document)

    async def asked(self, asks: Sequence[Ask], fingerprints: Mapping[str, bytes]) -> None:
        """See ``Concerned``."""
        await self.compare.asked(asks, fingerprints)

    async def _ended(self) -> bool:
        """All was compared; what came meanwhile, and did not wait, is compared once more."""
        if not self.upwards.status.left:
            return False
        await self._bounds.resume()
        return True

    async def _hear(self, link: BrokerLink, topics: Topics, inbox: Inbox) -> None:
        """Hear the hub, and when one of its workers starts."""
        try:
            await link.subscribe([topics.down, topics.hub])
        except GatewayError as error:
            if error.code not in REFUSED:
                raise
            self._refused("hub topics", error)
        while True:
            message = await inbox.message(topics.hub)
            link.done(message)
            if message.retained:
                self._decline("a retained message that a hub started")
                continue
            self.compare.started()
            self.talk.started()

    async def _keep_revoking(self) -> None:
        while True:
            await self.talk.revoked(await self._revoked.get())


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
