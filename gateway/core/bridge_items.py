"""What a message between a gateway and the hub of a cloud holds (docs/protocol.md section 12).

One message is one batch of records that stands for itself: handles mean something in it alone,
so any worker of a hub can read it. Pure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.core import messages as m
from gateway.core.errors import Code, PeerError
from gateway.core.framing import MAX_RECORDS, frame, records
from gateway.core.names import check_collection, check_name
from gateway.core.packing import pack, unpack

# Of the records of a message, inflated. With what is around them it fits into a message of MQTT,
# of which the gateway takes 262,144 bytes (docs/mqtt.md).
MAX_BATCH_BYTES = 253_952
# Of the deflated form no more than this is gained by trying it on a batch of so few bytes.
MIN_DEFLATED_BYTES = 64
MAX_WANTED = 256
_EXCHANGE = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a document, merged or not."""

    document: str
    update: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """What the sender has of a document; it wants what it lacks."""

    document: str
    state_vector: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the asker lacked; ``fingerprint`` of the whole document at the sender."""

    document: str
    fingerprint: bytes
    update: bytes


@dataclass(frozen=True, slots=True)
class Nothing:
    """Somebody asked about a document, and there is nothing to say."""

    document: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of the exchange that finds which documents differ (``core.reconcile``)."""

    ranges: bytes


@dataclass(frozen=True, slots=True)
class Wants:
    """The collections of which a gateway takes changes, all of them."""

    collections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revoked:
    """Somebody was shut out (``core.revocations``)."""

    entry: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks whether the other side is there."""

    nonce: int


@dataclass(frozen=True, slots=True)
class Pong:
    """It is."""

    nonce: int


Item = Change | Ask | Answer | Nothing | Turn | Wants | Revoked | Ping | Pong


def written(items: Iterable[Item], limit: int = MAX_BATCH_BYTES) -> Iterator[tuple[bytes, int]]:
    """Items as few batches of at most ``limit`` bytes before deflating, with how many each holds.

    An item that is larger by itself is alone in its batch: the caller cuts it before.
    """
    batch = _Batch()
    for item in items:
        parts = batch.framed(item)
        if batch.count and not batch.has_room(parts, limit):
            yield batch.closed(), batch.count
            batch = _Batch()
            parts = batch.framed(item)
        batch.add(item, parts)
    if batch.count:
        yield batch.closed(), batch.count


def read(batch: bytes) -> list[Item]:
    """The items of a batch, ``Nothing`` last; records not known here are skipped.

    Raises ``PeerError``: MALFORMED, TOO_BIG, BAD_NAME.
    """
    found = records(batch)
    if found[0][0] == m.DEFLATED:
        if len(found) > 1:
            raise PeerError(Code.MALFORMED, "deflated records come alone")
        found = records(unpack(found[0][1:], MAX_BATCH_BYTES))
    reader = _Reader()
    for record in found:
        reader.take(m.decode(record))
    return [*reader.items, *map(Nothing, reader.unused)]


class _Batch:
    """A batch in the making."""

    def __init__(self) -> None:
        self.count = 0
        self.size = 0
        self._parts: list[bytes] = []
        self._handles: dict[str, int] = {}

    def framed(self, item: Item) -> list[bytes]:
        """The records of an item."""
        return [frame(m.encode(record)) for record in self._records(item)]

    def has_room(self, parts: list[bytes], limit: int) -> bool:
        """Whether these records may come into it too."""
        fits = self.size + sum(map(len, parts)) <= limit
        return fits and len(self._parts) + len(parts) <= MAX_RECORDS

    def add(self, item: Item, parts: list[bytes]) -> None:
        """Take an item in, by its records."""
        if isinstance(item, Change | Ask | Answer | Nothing):
            self._handles.setdefault(item.document, len(self._handles) + 1)
        self._parts += parts
        self.size += sum(map(len, parts))
        self.count += 1

    def closed(self) -> bytes:
        """All of it, deflated where that is shorter."""
        plain = b"".join(self._parts)
        if len(plain) < MIN_DEFLATED_BYTES:
            return plain
        packed = frame(bytes([m.DEFLATED]) + pack(plain))
        return min(plain, packed, key=len)

    def _records(self, item: Item) -> Iterator[m.Record]:
        match item:
            case Change():
                yield from self._bound(item.document)
                yield m.Update(self._handle(item.document), item.update)
            case Ask():
                yield m.Open(self._handle(item.document), item.document, item.state_vector)
            case Answer():
                yield from self._bound(item.document)
                handle = self._handle(item.document)
                yield m.Diff(handle, 0, item.fingerprint, item.update)
            case Nothing():
                yield m.Open(self._handle(item.document), item.document, b"")
            case Turn():
                yield m.Reconcile(_EXCHANGE, item.ranges)
            case Wants():
                # All that was wanted before is over.
                yield m.Unsubscribe(0)
                for number, collection in enumerate(item.collections, 1):
                    yield m.Subscribe(number, collection, "")
            case Revoked():
                yield m.Revoked(item.entry)
            case Ping():
                yield m.Ping(item.nonce)
            case _:
                yield m.Pong(item.nonce)

    def _handle(self, document: str) -> int:
        return self._handles.get(document, len(self._handles) + 1)

    def _bound(self, document: str) -> Iterator[m.Record]:
        """Without a state vector a handle is bound, and nothing asked."""
        if document not in self._handles:
            yield m.Open(self._handle(document), document, b"")


class _Reader:
    """Goes through the records of a batch once."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        # Bound without a state vector, and nothing more was said of them.
        self.unused: dict[str, None] = {}
        self._documents: dict[int, str] = {}
        self._wanted: list[str] | None = None

    def take(self, record: m.Record | None) -> None:
        """Read one record. Raises ``PeerError``."""
        match record:
            case m.Open():
                self._open(record)
            case m.Update():
                self.items.append(Change(self._document(record.handle), record.update))
            case m.Diff():
                document = self._document(record.handle)
                self.items.append(Answer(document, record.fingerprint, record.update))
            case m.Reconcile(exchange, ranges) if exchange == _EXCHANGE:
                self.items.append(Turn(ranges))
            case m.Unsubscribe(0):
                self._want(())
            case m.Subscribe(_, collection, "") if self._wanted is not None:
                check_collection(collection)
                self._want((*self._wanted, collection))
            case m.Revoked():
                self.items.append(Revoked(record.entry))
            case m.Ping():
                self.items.append(Ping(record.nonce))
            case m.Pong():
                self.items.append(Pong(record.nonce))

    def _open(self, record: m.Open) -> None:
        check_name(record.document)
        if record.handle not in self._documents:
            self.unused[record.document] = None
        bound = self._documents.setdefault(record.handle, record.document)
        if bound != record.document or record.handle == 0:
            raise PeerError(Code.MALFORMED, "a handle that cannot be bound")
        if record.state_vector:
            self.unused.pop(record.document, None)
            self.items.append(Ask(record.document, record.state_vector))

    def _want(self, collections: tuple[str, ...]) -> None:
        if len(collections) > MAX_WANTED:
            raise PeerError(Code.TOO_MANY, f"more than {MAX_WANTED} collections")
        self.items = [item for item in self.items if not isinstance(item, Wants)]
        self._wanted = list(collections)
        self.items.append(Wants(collections))

    def _document(self, handle: int) -> str:
        document = self._documents.get(handle)
        if document is None:
            raise PeerError(Code.MALFORMED, "a handle that is not bound")
        self.unused.pop(document, None)
        return document
