"""Which documents are to be shown to the cloud as JSON, and which are known to be there.

Of a document only its last state goes out, at most once a second. What the broker acknowledged is
numbered; a *mark* at the broker itself says up to which number it has everything: if it lost its
state the mark is gone, or older. docs/mqtt.md, "What is sent when".
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import blake2b

from gateway.core.bridge import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from gateway.core.names import collection_of

# From one publication of a document to its next.
REST_SECONDS = 1.0
# Names that wait: beyond it whole collections are looked through instead.
MOST_WAITING = 20_000
# Documents of which it is known what the broker has; others are sent once more at worst.
MOST_KNOWN = 50_000
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Mark:
    """``start`` names one run of a gateway; ``number``: so many of its publications are there."""

    start: str
    number: int


def read_mark(payload: bytes) -> Mark | None:
    """What is retained at a broker, whatever it is; None: no mark."""
    try:
        said = json.loads(payload)
        start, number = said["start"], said["number"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return Mark(start, number) if isinstance(start, str) and type(number) is int else None


def digest_of(payload: bytes) -> bytes:
    """What is remembered of a payload."""
    return blake2b(payload, digest_size=DIGEST_BYTES).digest()


class Projections:
    """``collections``: those whose documents are shown; ``start`` is another at each start.

    Times are seconds of one clock that only goes forward.
    """

    def __init__(self, collections: Collection[str], start: str) -> None:
        self.collections = frozenset(collections)
        self._start = start
        self._number = 0
        self._waiting: dict[str, dict[str, None]] = {one: {} for one in sorted(collections)}
        # What was sent a moment ago, or is being sent, and changed since; when it is due.
        self._later: dict[str, float] = {}
        self._busy: set[str] = set()
        self._sent: dict[str, float] = {}
        self._known: dict[str, tuple[bytes, int]] = {}
        # Collections to be looked through, those whose turn it is to wait, and their next pause.
        self._unseen: set[str] = set(collections)
        self._looking: set[str] = set()
        self._held: dict[str, float] = {}
        self._pauses: dict[str, float] = {}

    @property
    def waiting(self) -> int:
        """How many documents are not known to be at the broker as they are here; collections that
        were not looked through count as one."""
        names = sum(map(len, self._waiting.values())) + len(self._later.keys() - self._busy)
        return names + len(self._busy) + len(self._unseen | self._looking)

    @property
    def mark(self) -> Mark:
        """What the broker has so far."""
        return Mark(self._start, self._number)

    def connected(self, mark: Mark | None) -> None:
        """A connection begins; ``mark`` is what the broker kept."""
        self._held.clear()
        self._pauses.clear()
        self._unseen |= self._looking
        self._looking.clear()
        if mark is None or mark.start != self._start or mark.number > self._number:
            self._known.clear()
            self._unseen = set(self.collections)
            return
        lost = [name for name, (_, number) in self._known.items() if number > mark.number]
        for name in lost:
            del self._known[name]
            self._wait(name)

    def changed(self, documents: Iterable[str], now: float) -> bool:
        """Changes of these are on the disk; whether any of them is shown."""
        mine = [name for name in documents if collection_of(name) in self.collections]
        for name in mine:
            if name in self._busy or self._sent.get(name, now - REST_SECONDS) > now - REST_SECONDS:
                self._later.setdefault(name, now + REST_SECONDS)
            else:
                self._wait(name)
        return bool(mine)

    def waiting_of(self, collection: str) -> int:
        """How many documents of a collection are known to wait."""
        return len(self._waiting[collection])

    def is_unseen(self, collection: str) -> bool:
        """Whether a collection is to be looked through."""
        return collection in self._unseen

    def begin(self, collection: str) -> None:
        """It is looked through: all its documents are told by ``changed`` until ``seen``."""
        self._unseen.discard(collection)
        self._looking.add(collection)

    def seen(self, collection: str) -> None:
        """All its documents were told; it may have to be looked through again by now."""
        self._looking.discard(collection)

    def next(self, now: float) -> str | None:
        """The document whose turn it is, if there is one; then say how it went."""
        # Both are in the order of their times, but for those that were busy when they were due.
        while self._sent and next(iter(self._sent.values())) <= now - REST_SECONDS:
            del self._sent[next(iter(self._sent))]
        while self._later and next(iter(self._later.values())) <= now:
            name = next(iter(self._later))
            del self._later[name]
            if name in self._busy:
                self._later[name] = now + REST_SECONDS
            else:
                self._wait(name)
        for collection, names in self._waiting.items():
            if names and self._held.get(collection, now) <= now:
                name = next(iter(names))
                del names[name]
                self._busy.add(name)
                return name
        return None

    def has(self, document: str, digest: bytes) -> bool:
        """Whether the broker is known to have exactly this."""
        return self._known.get(document, (b"", 0))[0] == digest

    def done(self, document: str, digest: bytes, now: float) -> None:
        """The broker has it."""
        self._busy.discard(document)
        self._sent.pop(document, None)
        self._sent[document] = now
        self._number += 1
        self._known.pop(document, None)
        self._known[document] = digest, self._number
        self._pauses.pop(collection_of(document), None)
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def left(self, document: str) -> None:
        """There is nothing to send of it."""
        self._busy.discard(document)

    def failed(self, document: str) -> None:
        """It did not get there; the connection is lost."""
        self._busy.discard(document)
        self._wait(document)

    def refused(self, document: str, now: float) -> None:
        """The broker does not take it: its collection waits a while, longer each time."""
        self.failed(document)
        collection = collection_of(document)
        pause = self._pauses.get(collection, FIRST_PAUSE_SECONDS)
        self._pauses[collection] = min(2 * pause, LONGEST_PAUSE_SECONDS)
        self._held[collection] = now + pause

    def _wait(self, document: str) -> None:
        collection = collection_of(document)
        names = self._waiting[collection]
        names[document] = None
        if sum(map(len, self._waiting.values())) > MOST_WAITING:
            names.clear()
            self._unseen.add(collection)
