"""One document and the sessions in it: apply what arrived, pass on what changed.

Keeps invariants 1 (only what was accepted is passed on) and 5 (docs/design.md).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.core.authors import Authors, check_leaps
from gateway.core.document import Applied, Document, DocumentBroken
from gateway.core.errors import Code
from gateway.core.events import Compact, Incoming
from gateway.core.guard import UpdateFacts
from gateway.core.outbox import Answer, Relay
from gateway.core.presence import Presence
from gateway.core.records import CLOUD, Change, Refusal, StoredDocument
from gateway.core.session import Session

# Compaction pays when the tail outweighs the snapshot; below this it is not worth a write.
COMPACT_BYTES = 65_536
# What an update costs on the disk beside its bytes: alone in a row four times this, in a busy
# shop, where rows hold what came together, half of it.
ROW_BYTES = 16
# A new snapshot must save at least a fifth, or the next try waits for a tail twice as long.
WORTHWHILE = 0.8
# Or there must be so many rows less to read: a document is loaded from one snapshot in half the
# time it takes from its rows.
MANY_ROWS = 1_000
# What a held part of an answer costs beside its bytes.
PART_BYTES = 512
# A document beyond this could not tell its state vector (``Limits.vector_clients``) any more.
MAX_AUTHORS = 20_000
# What one peer may bring of them, so that it cannot use them up alone.
MAX_AUTHORS_OF_A_PEER = 5_000
# An author is not sent its own update back. With two in one turn each gets the other's; with
# more the merged update is smaller than the parts, its own included.
MOST_AUTHORS_SPARED = 2
OFFENDER = "this update cannot be applied"
OVERFLOW = "too much waits for changes that have not come"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one turn of a room asks for: rows to write, peers to wake, a document to reload."""

    records: tuple[Change | Refusal, ...] = ()
    woken: frozenset[Session] = frozenset()
    decided: tuple[Incoming, ...] = ()
    reload: bool = False


def cost(parts: Iterable[Incoming]) -> int:
    """What it costs to keep parts of an answer, or what is in doubt, until it is decided."""
    return sum(len(part.update) + PART_BYTES for part in parts)


class Room:
    """The sessions in one document. ``document`` is None until it was loaded."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.document: Document | None = None
        self.presence = Presence()
        self.authors = Authors()
        self.queue: list[Incoming] = []
        # Updates of a batch that broke the document: applied one at a time to find which.
        self.suspects: list[Incoming] = []
        self.members: dict[Session, bool] = {}
        # How many authors (Yjs client ids) each identity brought since the document was loaded.
        self._brought = Counter[str]()
        self._held: dict[Session, list[Incoming]] = {}
        self._snapshot_bytes = 0
        self._tail_bytes = self._tail_rows = 0
        self._compact_at = COMPACT_BYTES

    @property
    def stored_bytes(self) -> int:
        """Bytes the store holds of this document, rows' overhead included."""
        return self._snapshot_bytes + self._tail_bytes

    @property
    def due(self) -> bool:
        """Whether a turn has something to apply."""
        return self.document is not None and bool(self.queue or self.suspects)

    @property
    def busy(self) -> bool:
        """Whether work is queued, loaded or not."""
        return bool(self.queue or self.suspects or self._held or self.authors.doubts)

    def next_batch(self) -> Sequence[Incoming]:
        """What the next turn will apply."""
        return self.suspects[:1] or self.queue

    def loaded(self, stored: StoredDocument) -> None:
        """The store's copy arrived."""
        self.document = Document.load(self.name, stored.snapshot, stored.changes)
        self._snapshot_bytes = len(stored.snapshot)
        self._tail_bytes = sum(len(change) + ROW_BYTES for change in stored.changes)
        self._tail_rows = len(stored.changes)

    def enter(self, session: Session, *, asked: bool = False) -> None:
        """A session takes part: ask it for what we lack, unless it was, and show who is here."""
        self.members[session] = False
        if not asked:
            self.ask(session)
        session.offer_presence(self.name, None)

    def open(self, session: Session, state_vector: bytes, *, asked: bool = False) -> None:
        """A session told what it has: answer it, and pass on changes from now on."""
        if session not in self.members:
            self.enter(session, asked=asked)
        self.members[session] = True
        session.outbox.owe(self.name, state_vector)

    def leave(self, session: Session, now: float) -> Iterable[Session]:
        """A session is gone; returns those that have to be told."""
        self.members.pop(session, None)
        self.authors.left(session)
        return self.show(self.presence.leave(session, now), session)

    def show(self, clients: Sequence[int], source: Session | None) -> list[Session]:
        """Pass awareness on to all but its source; returns who was told."""
        if not clients:
            return []
        told = [member for member in self.members if member is not source]
        for member in told:
            member.offer_presence(self.name, clients)
        return told

    def ask(self, session: Session) -> None:
        """Ask a session for what we lack."""
        assert self.document is not None
        session.ask(self.name, self.document.state_vector())

    def answer(self, state_vector: bytes) -> Answer | None:
        """What a state vector lacks; None while the document is being read."""
        if self.document is None:
            return None
        lacking = self.document.diff(state_vector)
        return Answer((lacking,), self.document.fingerprint())

    def check(self, facts: UpdateFacts) -> None:
        """See ``authors.check_leaps``."""
        assert self.document is not None
        check_leaps(facts, self.document.clocks)

    def ask_authors(self) -> list[Session]:
        """Ask the authors of what is in doubt, as far as they were not; returns whom."""
        asked = list(self.authors.to_ask(self.name)) if self.document is not None else []
        for session in asked:
            self.ask(session)
        return asked

    def state_vector(self) -> bytes:
        """What is known; the document must be loaded."""
        assert self.document is not None
        return self.document.state_vector()

    def hold(self, incoming: Incoming) -> None:
        """Keep a part of an answer until the last one comes."""
        self._held.setdefault(incoming.session, []).append(incoming)

    def take_held(self, session: Session) -> tuple[Sequence[Incoming], int]:
        """The parts of an answer that are held, held no more, and what they cost."""
        parts = self._held.pop(session, ())
        return parts, cost(parts) if parts else 0

    def admits(self, identity: str, facts: UpdateFacts) -> bool:
        """Whether the document may have the authors of an update; counts them if so."""
        assert self.document is not None
        clocks = self.document.clocks
        new = {span.client for span in facts.spans if span.client not in clocks}
        if not new:
            return True
        brought = self._brought[identity] + len(new)
        if brought > MAX_AUTHORS_OF_A_PEER or len(clocks) + len(new) > MAX_AUTHORS:
            return False
        self._brought[identity] = brought
        return True

    def doubts(self, batch: Sequence[Incoming], now: float, *, alone: bool) -> bool:
        """Whether updates of one session wait for what their authors say to them."""
        assert self.document is not None
        return self.authors.doubt(batch, self.document.clocks, self.members, now, alone=alone)

    def receive(self, updates: Iterable[Incoming], *, alone: bool = False) -> None:
        """Queue what belongs together, for this turn or each for one of its own."""
        queue = self.suspects if alone else self.queue
        queue += updates

    def give_up(self) -> Sequence[Incoming]:
        """The document cannot be read: what is queued for it, which will not be applied."""
        given_up = [*self.suspects, *self.queue]
        self.suspects, self.queue = [], []
        return given_up

    def turn(self) -> Outcome:
        """Apply what is queued at once, pass on what changed, say what to write."""
        assert self.document is not None
        batch = list(self.next_batch())
        alone = bool(self.suspects)
        if alone:
            del self.suspects[0]
        else:
            self.queue = []
        waiting = set(self.document.early)
        try:
            applied = self.document.apply([(item.update, item.facts) for item in batch])
        except DocumentBroken:
            self.document = None
            if not alone and len(batch) > 1:
                self.suspects = batch
                return Outcome(reload=True)
            return self._refuse(batch[0])
        return self._accepted(batch, applied, waiting)

    def compaction(self) -> Compact | None:
        """A compaction that pays, judged by its measured gain, or None."""
        if self._tail_bytes < max(self._compact_at, self._snapshot_bytes):
            return None
        assert self.document is not None
        try:
            snapshot, keep = self.document.snapshot(), self.document.early
        except DocumentBroken:
            # What is stored still loads; only a snapshot of it would not.
            self._compact_at = 2 * self._tail_bytes
            return None
        size = len(snapshot) + sum(len(update) + ROW_BYTES for update in keep)
        saves = size <= WORTHWHILE * self.stored_bytes
        if not saves and self._tail_rows - len(keep) < MANY_ROWS:
            self._compact_at = 2 * self._tail_bytes
            return None
        self._snapshot_bytes = len(snapshot)
        self._tail_bytes = size - len(snapshot)
        self._tail_rows = len(keep)
        self._compact_at = COMPACT_BYTES + self._tail_bytes
        return Compact(self.name, snapshot, tuple(keep))

    def _refuse(self, item: Incoming) -> Outcome:
        item.session.refuse(self.name, item.number, Code.REFUSED, OFFENDER)
        refusal = Refusal(self.name, item.update, item.session.identity, Code.REFUSED, OFFENDER)
        return Outcome((refusal,), frozenset({item.session}), (item,), reload=True)

    def _accepted(self, batch: list[Incoming], applied: Applied, waiting: set[bytes]) -> Outcome:
        woken: set[Session] = set()
        records: list[Change] = []
        if applied.delta:
            # What came of early updates, of this batch or before, came of nobody who is spared.
            aside = {*applied.early, *applied.overflow}
            accepted = [item for index, item in enumerate(batch) if index not in aside]
            everybody = bool(waiting or applied.early)
            woken |= self._relay(accepted, Relay(applied.delta), everybody=everybody)
            records.append(Change(self.name, applied.delta, _brought_by(batch)))
        for index in applied.early:
            item = batch[index]
            if item.update not in waiting:
                records.append(Change(self.name, item.update, item.session.identity))
            if not item.answer:
                self.ask(item.session)
                woken.add(item.session)
        for index in applied.overflow:
            item = batch[index]
            item.session.refuse(self.name, item.number, Code.TOO_MANY, OVERFLOW)
            woken.add(item.session)
        self._tail_bytes += sum(len(record.update) + ROW_BYTES for record in records)
        self._tail_rows += len(records)
        return Outcome(tuple(records), frozenset(woken), tuple(batch))

    def _relay(self, accepted: list[Incoming], relay: Relay, *, everybody: bool) -> set[Session]:
        authors = set() if everybody else {item.session for item in accepted}
        if len(authors) > MOST_AUTHORS_SPARED:
            authors = set()
        woken = set()
        for member, opened in self.members.items():
            if opened and member not in authors:
                member.offer(self.name, relay)
                woken.add(member)
        if len(authors) > 1:
            woken |= self._relay_among(accepted)
        return woken

    def _relay_among(self, accepted: list[Incoming]) -> set[Session]:
        relays = [(item.session, Relay(item.update)) for item in accepted]
        authors = {author for author, _ in relays if self.members.get(author)}
        for member in authors:
            for author, relay in relays:
                if author is not member:
                    member.offer(self.name, relay)
        return authors


def _brought_by(batch: Sequence[Incoming]) -> str:
    """Who counts for what a batch changed: one row holds it, which waits for the cloud unless all
    of it came from there."""
    identities = [item.session.identity for item in batch]
    return next((identity for identity in identities if identity != CLOUD), CLOUD)
