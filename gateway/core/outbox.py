"""What one peer still has to be sent; a slow reader costs at most a fixed size.

Live updates wait here only while the link cannot take them; they are merged per
document, and dropped as a whole when that is not enough. Answers to a state vector
are owed, not queued: they are computed when the link can take them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.core import y_messages
from gateway.core.document import DocumentBroken, merge

# What a peer that does not read may make us hold; then it has to ask again.
MAX_QUEUED_BYTES = 1_048_576
# Merging costs about as much as sending a few small updates one by one.
MERGE_FROM = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer lacks of a document, and our fingerprint of it."""

    update: bytes
    fingerprint: bytes


AnswerFor = Callable[[str, bytes], Answer | None]


class Relay:
    """One update on its way to many peers; encodings are made once for all of them."""

    __slots__ = ("_y_frame", "update")

    def __init__(self, update: bytes) -> None:
        self.update = update
        self._y_frame: bytes | None = None

    @property
    def y_frame(self) -> bytes:
        """The update as a plain y-websocket message."""
        if self._y_frame is None:
            self._y_frame = y_messages.update(self.update)
        return self._y_frame


class Outbox:
    """Pending output of one session, in the order: records, owed answers, live updates."""

    __slots__ = ("_owed", "_relays", "queued_bytes", "records", "stale")

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.stale: set[str] = set()
        self.queued_bytes = 0
        self._owed: dict[str, bytes] = {}
        self._relays: dict[str, list[Relay]] = {}

    def __bool__(self) -> bool:
        return bool(self.records or self._owed or self._relays or self.stale)

    def owe(self, document: str, state_vector: bytes) -> None:
        """Answer this state vector when the link can take it; the newest one counts."""
        self._drop(document)
        self.stale.discard(document)
        self._owed[document] = state_vector

    def offer(self, document: str, relay: Relay) -> None:
        """Queue a live update, unless an owed answer or a stale mark covers it anyway."""
        if document in self._owed or document in self.stale:
            return
        self._relays.setdefault(document, []).append(relay)
        self.queued_bytes += len(relay.update)
        if self.queued_bytes > MAX_QUEUED_BYTES:
            self._shrink()

    def forget(self, document: str) -> None:
        """The peer has no more interest in a document."""
        self._drop(document)
        self._owed.pop(document, None)
        self.stale.discard(document)

    def clear(self) -> None:
        """Drop everything; the session ends."""
        self.records.clear()
        self.stale.clear()
        self._owed.clear()
        self._relays.clear()
        self.queued_bytes = 0

    def take_answer(self, answer_for: AnswerFor) -> tuple[str, Answer] | None:
        """The next document that can be answered and its answer, the longest owed first.

        ``answer_for`` raises ``DocumentBroken`` or says None while it has no answer.
        """
        for document, state_vector in self._owed.items():
            answer = answer_for(document, state_vector)
            if answer is not None:
                del self._owed[document]
                return document, answer
        return None

    def take_relays(self) -> Iterator[tuple[str, Relay]]:
        """All live updates; where many wait for a document, merged into one."""
        relays, self._relays, self.queued_bytes = self._relays, {}, 0
        for document, waiting in relays.items():
            merged = _merged(waiting) if len(waiting) >= MERGE_FROM else None
            for relay in waiting if merged is None else (merged,):
                yield document, relay

    def _drop(self, document: str) -> None:
        for relay in self._relays.pop(document, ()):
            self.queued_bytes -= len(relay.update)

    def _shrink(self) -> None:
        merged = {document: _merged(waiting) for document, waiting in self._relays.items()}
        self._relays = {name: [relay] for name, relay in merged.items() if relay is not None}
        self.stale.update(merged.keys() - self._relays.keys())
        self.queued_bytes = sum(len(waiting[0].update) for waiting in self._relays.values())
        if self.queued_bytes > MAX_QUEUED_BYTES // 2:
            self.stale.update(self._relays)
            self._relays = {}
            self.queued_bytes = 0


def _merged(relays: list[Relay]) -> Relay | None:
    """The updates as one, or None if the library cannot."""
    if len(relays) == 1:
        return relays[0]
    try:
        return Relay(merge([relay.update for relay in relays]))
    except DocumentBroken:
        return None
