"""Which documents have something for the hub, which are on their way, how long it will take.

What waits is in the store's outbox, which knows no connection; here are names alone, and no more
of them than are of use: after those that are known the outbox is asked for more. Pure.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Final

from gateway.core.names import collection_of

# Names that are kept; the outbox knows the others.
MOST_NAMES: Final = 20_000
# What was acknowledged in so many seconds says how fast it goes.
RATE_SECONDS: Final = 60.0


class Relay:
    """``collections``: those whose changes are sent; None: all.

    A document is in one message at a time, so its changes arrive in their order.
    """

    def __init__(self, collections: Collection[str] | None) -> None:
        self._collections = None if collections is None else frozenset(collections)
        # By when something of it began to wait, as far as is known.
        self._waiting: dict[str, float] = {}
        self._flying: dict[str, float] = {}
        # What changed while it was on its way, and since when.
        self._again: dict[str, float] = {}
        # Larger than a message, in a part that cannot be cut.
        self._aside: set[str] = set()
        # Whether the outbox may hold names that are not known here.
        self.more = True

    def sends(self, document: str) -> bool:
        """Whether the changes of a document are for the hub."""
        return self._collections is None or collection_of(document) in self._collections

    def news(self, documents: Iterable[str], now: float) -> bool:
        """Changes of these are on the disk; whether there is something to do."""
        before = len(self._waiting)
        for document in documents:
            if not self.sends(document) or document in self._waiting:
                continue
            if document in self._flying:
                self._again.setdefault(document, now)
            elif len(self._waiting) < MOST_NAMES:
                self._waiting[document] = now
            else:
                self.more = True
        return len(self._waiting) > before

    def resume(self, documents: Sequence[str], waited: float, now: float) -> None:
        """These waited before the start: the first of them for so long, of the others that is not
        known."""
        self._waiting = dict.fromkeys(documents[:MOST_NAMES], now)
        for document in documents[:1]:
            self._waiting[document] = now - waited

    def question(self, most: int) -> int:
        """How many names to ask the outbox for, so that it tells ``most`` that are not known."""
        return most + len(self._flying) + len(self._aside)

    def found(self, documents: Collection[str], asked: int, now: float) -> None:
        """What the outbox answered to a question for so many."""
        self.more = len(documents) >= asked
        for document in documents:
            if document not in self._flying and document not in self._aside:
                self._waiting.setdefault(document, now)

    def next(self, most: int) -> tuple[str, ...]:
        """The documents that wait longest; they are on their way from now on."""
        taken = tuple(islice(self._waiting, most))
        for document in taken:
            self._flying[document] = self._waiting.pop(document)
        return taken

    def sent(self, documents: Iterable[str], more: Collection[str] = ()) -> None:
        """What was read of these waits no more; of some there is ``more``, which is next."""
        rest: dict[str, float] = {}
        for document in documents:
            began, again = self._flying.pop(document), self._again.pop(document, None)
            if document in more:
                rest[document] = began
            elif again is not None:
                self._waiting[document] = again
        self._waiting = {**rest, **self._waiting}

    def back(self, documents: Collection[str]) -> None:
        """These were not sent: they wait as before, in front."""
        known = {document: self._flying.pop(document) for document in documents}
        for document in documents:
            self._again.pop(document, None)
        self._waiting = {**known, **self._waiting}

    def put_aside(self, documents: Iterable[str]) -> None:
        """These cannot be sent over this connection."""
        for document in documents:
            self._flying.pop(document, None)
            self._again.pop(document, None)
            self._aside.add(document)

    def begin(self) -> None:
        """A connection is new: it may take what the last one did not."""
        self.more = True
        self._aside.clear()

    def forget(self) -> None:
        """Nothing waits any more: it will be compared instead."""
        self._waiting.clear()
        self._again.clear()
        self.more = False

    def waits(self, document: str) -> bool:
        """Whether something of a document is known to wait, or is on its way."""
        return document in self._waiting or document in self._flying or document in self._aside

    def flies(self, document: str) -> bool:
        """Whether a document is on its way."""
        return document in self._flying

    @property
    def is_sending(self) -> bool:
        """Whether any document is on its way."""
        return bool(self._flying)

    @property
    def aside(self) -> int:
        """How many documents cannot be sent over this connection."""
        return len(self._aside)

    @property
    def waiting(self) -> int:
        """How many documents are known to wait, those on their way too."""
        return len(self._waiting) + len(self._flying) + len(self._aside)

    def oldest_seconds(self, now: float) -> float | None:
        """For how long something waits, at least; None: nothing does."""
        first = islice(self._waiting.values(), 1)
        began = [*first, *self._flying.values()]
        return now - min(began) if began else None


class Rate:
    """How many bytes a second are acknowledged, lately."""

    def __init__(self) -> None:
        # Bytes by the second in which they were acknowledged.
        self._acknowledged: dict[int, int] = {}
        self._began = 0.0

    def acknowledged(self, size: int, began: float, now: float) -> None:
        """So many bytes that were sent from ``began`` on are there."""
        self._forget(now)
        if not self._acknowledged:
            self._began = began
        second = int(now)
        self._acknowledged[second] = self._acknowledged.get(second, 0) + size

    def seconds(self, waiting_bytes: int, now: float) -> float | None:
        """How long the rest takes at this rate; None: nothing is known of it."""
        if not waiting_bytes:
            return 0.0
        self._forget(now)
        total = sum(self._acknowledged.values())
        took = now - max(self._began, now - RATE_SECONDS)
        return waiting_bytes * took / total if total and took > 0 else None

    def _forget(self, now: float) -> None:
        kept = {at: size for at, size in self._acknowledged.items() if now - at <= RATE_SECONDS}
        self._acknowledged = kept
