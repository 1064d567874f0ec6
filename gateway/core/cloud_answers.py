"""What a hub sends to a gateway: answers cut into messages, and what its documents are made of.

docs/protocol.md section 12. Pure.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gateway.core import reconcile
from gateway.core.bridge import Publication
from gateway.core.bridge_envelope import seal_down
from gateway.core.bridge_items import (
    MAX_BATCH_BYTES,
    Answer,
    Ask,
    Change,
    Item,
    Nothing,
    Turn,
    written,
)
from gateway.core.bridge_topics import Topics
from gateway.core.cloud_records import Held
from gateway.core.document import Document, DocumentBroken
from gateway.core.loading import affordable
from gateway.core.records import StoredDocument
from gateway.core.split import split_update

# What is around a batch: COSE_Sign1 and the length of the topic.
ENVELOPE_BYTES = 256
# Records around an update: two heads, name, handle and fingerprint.
RECORD_BYTES = 512
# A document is written anew when so many changes follow its snapshot: loading them takes about as
# long as writing.
COMPACT_ROWS = 64
# Changes of a document that wait for what is missing; 60 us each time it is loaded. Whoever sent
# what they wait for brings it, or them again, with the next comparison.
MAX_EARLY = 1_000
# What a slice of work takes at most, so that others have their turn: about 0.1 s.
SLICE_DOCUMENTS = 50
SLICE_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Address:
    """A gateway of a store; ids in hex."""

    store: str
    peer: str


def loaded(name: str, stored: StoredDocument) -> Document:
    """The document of what is stored; a change from which on loading it costs too much, and all
    behind that, is forgotten. Raises ``DocumentBroken`` if its snapshot is.
    """
    count = affordable(stored)
    if count < 0:
        raise DocumentBroken(name, "it costs too much to load")
    document = Document.load(name, stored.snapshot, stored.changes[:count])
    document.forgotten += stored.changes[count:]
    return document


def to_compact(document: Document, stored: StoredDocument) -> bool:
    """Whether a document is to be written anew: for its many changes, for a broken one, or because
    too many wait."""
    rows = len(stored.changes) - len(document.early)
    return bool(document.forgotten) or rows >= COMPACT_ROWS or len(document.early) > MAX_EARLY


def asked(
    document: Document, vector: bytes, limit: int, *, wants: bool, writes: bool
) -> Iterator[Item]:
    """The answer to a gateway that has what a state vector says.

    What it lacks if it ``wants`` the collection, and what the hub has if it ``writes`` there: also
    when the vectors are equal, as deletions do not move them. If neither, it is told so: it would
    wait, and ask about nothing else.
    """
    is_sent = wants and bool(document.clocks)
    if is_sent:
        *first, last = split_update(document.diff(vector), limit - RECORD_BYTES)
        for part in first:
            yield Change(document.name, part)
        yield Answer(document.name, document.fingerprint(), last)
    if writes:
        yield Ask(document.name, document.state_vector())
    elif not is_sent:
        yield Nothing(document.name)


def turned(documents: Iterable[Held], ranges: bytes, limit: int) -> list[Item]:
    """The turn that follows one of a gateway. Raises ``PeerError`` MALFORMED.

    ``documents``: all of its store whose fingerprint is known.
    """
    catalogue = reconcile.Catalogue((held.document, held.fingerprint) for held in documents)
    most = max(min(limit - RECORD_BYTES, reconcile.MAX_PAYLOAD_BYTES), reconcile.MIN_PAYLOAD_BYTES)
    reply = reconcile.answer(catalogue, ranges, most).reply
    return [] if reply is None else [Turn(reply)]


def slice_of(documents: Sequence[Held]) -> int:
    """How many of these are loaded before others have their turn; at least one."""
    size = 0
    for count, held in enumerate(documents[:SLICE_DOCUMENTS]):
        size += held.size
        if size > SLICE_BYTES:
            return count + 1
    return min(len(documents), SLICE_DOCUMENTS)


class Post:
    """Makes messages of what is to be said. ``signing``: the private key of the hub."""

    def __init__(self, root: str, signing: bytes) -> None:
        self._root = root
        self._signing = signing
        # One struct of a document may be longer than a message.
        self.unsent = 0

    def limit(self, most_bytes: int) -> int:
        """Of a batch, where the broker takes messages of so many bytes, topic included."""
        return min(MAX_BATCH_BYTES, most_bytes - len(self._root) - ENVELOPE_BYTES)

    def messages(self, to: Address, items: Iterable[Item], limit: int) -> Iterator[Publication]:
        """Messages for a gateway. What is longer than one is left out, and counted."""
        return self.copies([to], items, limit)

    def copies(
        self, to: Sequence[Address], items: Iterable[Item], limit: int
    ) -> Iterator[Publication]:
        """The same messages for several gateways, made when they are asked for."""
        for batch, _ in written(self._short(items, limit), limit):
            for one in to:
                yield self._sealed(one, batch)

    def _sealed(self, to: Address, batch: bytes) -> Publication:
        store, peer = bytes.fromhex(to.store), bytes.fromhex(to.peer)
        topic = Topics(self._root, store, peer).down
        return Publication(topic, seal_down(self._signing, store, peer, batch))

    def _short(self, items: Iterable[Item], limit: int) -> Iterator[Item]:
        for item in items:
            if isinstance(item, Change | Answer) and len(item.update) > limit - RECORD_BYTES:
                self.unsent += 1
            else:
                yield item
