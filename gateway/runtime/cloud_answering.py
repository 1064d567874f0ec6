"""Answers what gateways ask of a hub, a slice at a time; for the thread of the store."""

import contextlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.core.bridge import Publication
from gateway.core.bridge_items import Item
from gateway.core.cloud_answers import Address, Post, asked, slice_of, turned
from gateway.core.cloud_records import Held
from gateway.core.cloud_shares import Shares
from gateway.core.document import DocumentBroken
from gateway.core.errors import PeerError
from gateway.core.fair_use import FairUse
from gateway.core.names import collection_of
from gateway.ports import Clock, CloudStore
from gateway.runtime.cloud_documents import CloudDocuments

# Documents that are asked for, loaded in one slice; their size is not known before.
ASKS_AT_ONCE = 10
# After so long others have their turn: some documents take longer than their size says.
SLICE_SECONDS = 0.1


@dataclass(slots=True)
class Question:
    """What one message asks; it takes ``size`` bytes to hold.

    ``settled`` and ``unsettled``: the documents of the store, once they are looked at.
    """

    size: int
    asker: Address
    asks: deque[tuple[str, bytes]]
    turn: bytes | None
    settled: list[Held] | None = None
    unsettled: list[Held] = field(default_factory=list)

    @property
    def is_answered(self) -> bool:
        """Whether nothing is left to do."""
        return not self.asks and self.turn is None

    def give_up(self) -> None:
        """Leave the rest unanswered."""
        self.asks.clear()
        self.turn = None


class Answering:
    """Every verb raises ``GatewayError`` as ``CloudStore`` does; it may be tried again then."""

    def __init__(
        self,
        store: CloudStore,
        documents: CloudDocuments,
        shares: Shares,
        post: Post,
        use: FairUse,
        clock: Clock,
    ) -> None:
        self._store = store
        self._documents = documents
        self._shares = shares
        self._post = post
        self._use = use
        self._now = clock.monotonic

    def go_on(self, question: Question, limit: int) -> list[Publication]:
        """Answer some of it; ``limit``: bytes of a batch."""
        began = self._now()
        items = self._answers(question, limit) if question.asks else self._turn(question, limit)
        found = list(self._post.messages(question.asker, items, limit))
        self._use.spend(question.asker.store, self._now() - began, self._now())
        return found

    def _answers(self, question: Question, limit: int) -> Iterable[Item]:
        asker, until = question.asker, self._now() + SLICE_SECONDS
        wants = self._wants(asker)
        found: list[Item] = []
        count = 0
        for name, vector in list(question.asks)[:ASKS_AT_ONCE]:
            if count and self._now() >= until:
                break
            count += 1
            opened = self._documents.open(self._shares.space(asker.store, name), name)
            if opened is None:
                continue
            writes = self._shares.may_write(asker.store, name)
            wanted = collection_of(name) in wants
            with contextlib.suppress(DocumentBroken):
                found += asked(opened.document, vector, limit, wants=wanted, writes=writes)
        for _ in range(count):
            question.asks.popleft()
        return found

    def _turn(self, question: Question, limit: int) -> Iterable[Item]:
        if question.settled is None:
            held = self._held(question.asker.store)
            question.settled = [one for one in held if one.fingerprint]
            question.unsettled = [one for one in held if not one.fingerprint]
        until = self._now() + SLICE_SECONDS
        for count in range(slice_of(question.unsettled)):
            if count and self._now() >= until:
                break
            one = question.unsettled[0]
            found = self._documents.settled(one.space, one)
            question.settled += [found] if found is not None else []
            del question.unsettled[0]
        if question.unsettled:
            return ()
        ranges, question.turn = question.turn, None
        assert ranges is not None
        try:
            return turned(question.settled, ranges, limit)
        except PeerError:
            return ()

    def _held(self, store: str) -> list[Held]:
        """All documents that a store takes part in."""
        found = [one for one in self._store.held(store) if self._shares.is_in(store, one.document)]
        for space, collections in self._shares.spaces(store).items():
            found += self._store.held(space, collections)
        return found

    def _wants(self, asker: Address) -> frozenset[str]:
        for gateway in self._store.gateways([asker.store]):
            if gateway.peer == asker.peer:
                return frozenset(gateway.wants)
        return frozenset()
