"""What one peer still has to be sent; a slow reader costs at most a fixed size.

Live updates wait here only while the link cannot take them; they are merged per
document, and dropped as a whole when that is not enough. Answers to a state vector and
presence are owed, not queued: they are made when the link can take them. Which goes first is
in ``gateway.core.schedule``.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from gateway.core import y_messages
from gateway.core.document import DocumentBroken, merge
from gateway.core.schedule import Lanes, priority

# What a peer that does not read may make us hold; then it has to ask again.
MAX_QUEUED_BYTES = 1_048_576
# Merging costs about as much as sending a few small updates one by one.
MERGE_FROM = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer lacks of a document, and our fingerprint of it.

    A large one is in ``parts``, made of an earlier state; the peer then still lacks what
    ``then`` lacks, the state vector of that state (b"" if ``parts`` are everything).
    """

    parts: tuple[bytes, ...]
    fingerprint: bytes
    then: bytes = b""


@dataclass(frozen=True, slots=True)
class Diff:
    """One message of an answer; ``more`` follow unless it is the last."""

    document: str
    update: bytes
    fingerprint: bytes
    more: bool


class Documents(Protocol):
    """Where a session finds what it owes."""

    def answer(self, document: str, state_vector: bytes, limit: int) -> Answer | None:
        """What a state vector lacks, in parts of at most ``limit`` bytes; None: not yet.

        Raises ``DocumentBroken``.
        """

    def presence(self, document: str, clients: Iterable[int] | None) -> list[bytes]:
        """Awareness of these clients, or of everybody who is here, as payloads."""


class Relay:
    """One update on its way to many peers; encodings are made once for all of them."""

    def __init__(self, update: bytes) -> None:
        self.update = update

    @cached_property
    def y_frame(self) -> bytes:
        """The update as a plain y-websocket message."""
        return y_messages.update(self.update)


class Outbox:
    """Pending output of one session: records, owed answers, live updates, owed presence.

    ``priorities``: of collections; 0 for others.
    """

    __slots__ = (
        "_hurried", "_owed", "_parts", "_presence", "_priorities", "_relays", "bare", "finishing",
        "history", "queued_bytes", "records", "stale",
    )  # fmt: skip

    def __init__(self, priorities: Mapping[str, int] | None = None) -> None:
        # Link messages that go out as they are, before anything else: of a handshake.
        self.bare: list[bytes] = []
        self.records: list[bytes] = []
        # Records that wait like history.
        self.history: deque[bytes] = deque()
        self.stale: set[str] = set()
        # Documents to be closed once what is owed and queued of them was sent.
        self.finishing: dict[str, None] = {}
        self.queued_bytes = 0
        self._priorities = priorities or {}
        self._owed = Lanes(self._priorities)
        # Documents that changed while the peer was linked: what is owed of them is live.
        self._hurried: set[str] = set()
        # The rest of an answer that is on its way; what follows it is in ``_owed``.
        self._parts: dict[str, deque[bytes]] = {}
        # The clients whose presence changed, None: all of them.
        self._presence: dict[str, set[int] | None] = {}
        self._relays: dict[str, list[Relay]] = {}

    def __bool__(self) -> bool:
        return bool(
            self._relays or self.records or self._owed or self._presence or self.stale
            or self.finishing or self.bare or self.history
        )  # fmt: skip

    def owe(self, document: str, state_vector: bytes) -> None:
        """Answer this state vector when the link can take it; the newest one counts."""
        self._drop(document)
        self.stale.discard(document)
        self._parts.pop(document, None)
        self._owed.put(document, state_vector, live=document in self._hurried)

    def hurry(self, document: str) -> None:
        """What a document is owed, now or next, is a live change."""
        if document in self._parts:
            return
        self._hurried.add(document)
        state_vector = self._owed.pop(document)
        if state_vector is not None:
            self._owed.put(document, state_vector, live=True)

    def owes(self, document: str) -> bool:
        """Whether an answer about a document is still to be sent."""
        return document in self._owed

    def holds(self, document: str) -> bool:
        """Whether something of a document waits for the link."""
        return document in self._owed or document in self._relays or document in self.stale

    def owe_presence(self, document: str, clients: Iterable[int] | None) -> None:
        """Tell of these clients, or of everybody, when the link can take it."""
        known = self._presence.setdefault(document, set())
        if clients is None or known is None:
            self._presence[document] = None
        else:
            known.update(clients)

    def offer(self, document: str, relay: Relay) -> None:
        """Queue a live update, unless an owed answer or a stale mark covers it anyway."""
        if document in self._owed:
            if document not in self._hurried:
                self.hurry(document)
            return
        if document in self.stale:
            return
        waiting = self._relays.get(document)
        if waiting is None:
            self._relays[document] = [relay]
        else:
            waiting.append(relay)
        self.queued_bytes += len(relay.update)
        if self.queued_bytes > MAX_QUEUED_BYTES:
            self._shrink()

    def forget(self, document: str) -> None:
        """The peer has no more interest in a document."""
        self._drop(document)
        self._hurried.discard(document)
        self._owed.pop(document)
        self._parts.pop(document, None)
        self._presence.pop(document, None)
        self.finishing.pop(document, None)
        self.stale.discard(document)

    def clear(self) -> None:
        """Drop everything; the session ends."""
        self.bare.clear()
        self.records.clear()
        self.history.clear()
        self._hurried.clear()
        self.stale.clear()
        self._owed.clear()
        self._parts.clear()
        self._presence.clear()
        self.finishing.clear()
        self._relays.clear()
        self.queued_bytes = 0

    @property
    def live_waits(self) -> bool:
        """Whether live updates wait."""
        return bool(self._relays)

    def take_diff(self, documents: Documents, limit: int) -> Diff | None:
        """The next message of an answer that can be given: see ``gateway.core.schedule``."""
        return self.take_live_diff(documents, limit) or self._take(
            self._owed.in_order(live=False), documents, limit
        )

    def take_live_diff(self, documents: Documents, limit: int) -> Diff | None:
        """The same, only of what changed while the peer was linked."""
        return self._take(self._owed.in_order(live=True), documents, limit)

    def _take(
        self, owed: Iterator[tuple[str, bytes]], documents: Documents, limit: int
    ) -> Diff | None:
        for document, state_vector in owed:
            parts = self._parts.get(document)
            if parts is None:
                answer = documents.answer(document, state_vector, limit)
                if answer is None:
                    continue
                if not answer.then:
                    self._owed.pop(document)
                    self._hurried.discard(document)
                    return Diff(document, answer.parts[0], answer.fingerprint, more=False)
                parts = self._parts[document] = deque(answer.parts)
                # So much is history, whatever made it be owed.
                self._hurried.discard(document)
                self._owed.put(document, answer.then, live=False)
            part = parts.popleft()
            if not parts:
                del self._parts[document]
            return Diff(document, part, b"", more=True)
        return None

    def take_presence(self, documents: Documents) -> Sequence[tuple[str, bytes]]:
        """All presence owed, each document's newest."""
        if not self._presence:
            return ()
        owed, self._presence = self._presence, {}
        return [
            (document, payload)
            for document, clients in owed.items()
            for payload in documents.presence(document, clients)
        ]

    def take_relays(self, size: int = 0) -> Sequence[tuple[str, Relay]]:
        """Live updates, of at least so many bytes or all; where many wait for a document,
        merged into one."""
        if not self._relays:
            return ()
        relays = self._relays
        if size and (self._priorities or self.queued_bytes > size):
            relays = self._first_relays(size)
        else:
            self._relays, self.queued_bytes = {}, 0
        taken = []
        for document, waiting in relays.items():
            merged = _merged(waiting) if len(waiting) >= MERGE_FROM else None
            for relay in waiting if merged is None else (merged,):
                taken.append((document, relay))
        return taken

    def _first_relays(self, size: int) -> dict[str, list[Relay]]:
        first: dict[str, list[Relay]] = {}
        order = sorted(self._relays, key=lambda name: -priority(self._priorities, name))
        enough = self.queued_bytes - size
        for document in order:
            first[document] = self._relays[document]
            self._drop(document)
            if self.queued_bytes <= enough:
                break
        return first

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
