"""The one decision maker: events of all sessions in, effects out; no I/O, no locks.

Updates are queued per document and applied once a loop turn (``turn``), so what arrived
together costs one apply, one row and one write a peer. Invariants 1, 3, 6, 7 and 9 of
docs/design.md are kept here.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice

from gateway.core.doubts import Doubts
from gateway.core.errors import Code, PeerError
from gateway.core.events import (
    Compared,
    DocumentEntered,
    DocumentEvent,
    DocumentOpened,
    DocumentReleased,
    Effect,
    Incoming,
    LinkEvent,
    LinkOpened,
    Load,
    Persist,
    PresenceAsked,
    PresenceReceived,
    Receipt,
    UpdateReceived,
    Wake,
    WakeAll,
)
from gateway.core.guard import (
    Limits,
    UpdateFacts,
    inspect_awareness,
    inspect_state_vector,
    inspect_update,
)
from gateway.core.names import collection_of
from gateway.core.outbox import Answer
from gateway.core.records import Change, Refusal, StoredDocument
from gateway.core.room import Room, cost
from gateway.core.selections import Interest, Selections
from gateway.core.session import Session, State

# Documents nobody is in stay in memory up to this number, the longest unused go first.
IDLE_ROOMS = 256
# Together all peers may have this many documents open; each costs a few kB.
MAX_ROOMS = 50_000
# The last of them are for who has only a few open: others cannot lock a new device out.
RESERVED_ROOMS = 10_000
FEW_ROOMS = 1_000
# Parts of answers held until the last one came, of one link (docs/protocol.md section 8).
MAX_HELD_BYTES = 16_777_216
# A change of a larger document, which may take the library a millisecond, lets others of so many
# loop turns go first: in that many a message that has arrived gets from its socket to here.
LARGE_BYTES = 131_072
TURNS_PUT_OFF = 3
LOST_PART = "its last part did not come"
UNREADABLE = "this gateway cannot read this document"


# The peers that wrote least are forgotten beyond this; their day begins anew.
MAX_COUNTED_PEERS = 10_000
DAY_SECONDS = 86_400.0
# What the guard refuses is kept for inspection, but must not wear the disk out.
KEPT_REFUSALS = 100
KEPT_REFUSALS_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Quotas:
    """Bytes of updates the store takes: in all, for one collection, of one peer in a day."""

    store_bytes: int
    collection_bytes: int
    peer_daily_bytes: int


@dataclass(slots=True)
class Counts:
    """Figures since the start, for the status page."""

    updates: int = 0
    refused: int = 0
    closed: Counter[str] = field(default_factory=Counter)


class Hub:
    """All documents in memory and all sessions. ``now`` is set by ``tick``, in seconds.

    ``usage`` is bytes stored per collection; ``quarantined`` and ``suspected`` are digests
    (BLAKE2b, 16 bytes) of updates that are not applied, or not together with others. A hub
    with ``interests`` is a small peer; ``draw(count)`` gives random bytes.
    """

    def __init__(
        self,
        quotas: Quotas,
        usage: Mapping[str, int],
        quarantined: frozenset[bytes],
        suspected: frozenset[bytes] = frozenset(),
        limits: Limits | None = None,
        interests: Sequence[Interest] = (),
        draw: Callable[[int], bytes] = bytes,
    ) -> None:
        self.rooms: dict[str, Room] = {}
        self.sessions: dict[Session, set[str]] = {}
        self.counts = Counts()
        self.usage = Counter(usage)
        # The sentence of a store that takes nothing at the moment, or "".
        self.store_trouble = ""
        self.limits = limits or Limits()
        self.selections = Selections(self, interests, draw)
        self.doubts = Doubts(self)
        self.now = 0.0
        self._quotas = quotas
        self._quarantined = set(quarantined)
        # One of these ended the last process; each is applied alone to find out which.
        self._suspected = suspected
        self._due: dict[str, Room] = {}
        # For how many turns large documents have let others go first.
        self._put_off = 0
        self._total = sum(usage.values())
        # Those in memory, by collection.
        self._held_of: dict[str, dict[str, None]] = {}
        # Loaded, but nobody is in them: by last use, the longest unused first.
        self._idle: dict[str, None] = {}
        self._present: set[str] = set()
        self._written = Counter[str]()
        # Bytes of parts of answers whose last part has not come.
        self._held = Counter[Session]()
        self._day_began = 0.0
        self._kept_refusals = 0
        self._kept_refusals_since = 0.0

    def held(self, collection: str) -> Collection[str]:
        """The documents of a collection that are in memory."""
        return self._held_of.get(collection, ())

    def join(self, session: Session) -> None:
        """A link was made."""
        self.sessions[session] = set()

    def leave(self, session: Session) -> list[Effect]:
        """A link is gone."""
        if session.farewell is not None:
            self.counts.closed[session.farewell.code.word] += 1
        effects: list[Effect] = []
        for name in self.sessions.pop(session):
            self.rooms[name].take_held(session)
            effects += self._leave_room(session, self.rooms[name])
        self._held.pop(session, None)
        self.selections.leave(session)
        return effects

    def needs(self, document: str) -> bool:
        """Whether the document has to be loaded before an event about it is handled."""
        room = self.rooms.get(document)
        return room is None or room.document is None

    def loaded(self, document: str, stored: StoredDocument) -> list[Effect]:
        """The store's copy of a document arrived. Raises ``DocumentBroken``: see ``lost``."""
        room = self.rooms.get(document)
        if room is None:
            # Before, or the one that somebody waits for might be the one that has to go.
            self._retire()
            room = self.rooms[document] = Room(document)
            self._held_of.setdefault(collection_of(document), {})[document] = None
            self._idle[document] = None
        if room.document is None:
            room.loaded(stored)
        if room.due:
            self._due[document] = room
        self.selections.loaded(document)
        return [Wake(member) for member in room.members]

    def lost(self, document: str) -> list[Effect]:
        """The store's copy does not load: what is queued for it stays with its authors."""
        receipts = []
        for item in self.rooms[document].give_up():
            item.session.refuse(document, item.number, Code.UNAVAILABLE, UNREADABLE)
            receipts.append(Receipt(item.session, item.number))
        return [Persist((), tuple(receipts)), *(Wake(receipt.session) for receipt in receipts)]

    def link(self, session: Session, event: LinkEvent) -> list[Effect]:
        """Decide on an event that is about no single document."""
        try:
            match event:
                case LinkOpened():
                    return self.selections.opened(session, self.now)
                case Compared():
                    return self.selections.compared(session, event, self.now)
                case _:
                    return self.selections.subscribe(session, event)
        except PeerError as error:
            session.close(error.code, error.reason)
            return [Wake(session)]

    @property
    def full(self) -> bool:
        """See ``selections.Rooms``."""
        return self._used >= MAX_ROOMS - RESERVED_ROOMS

    def let_go(self, session: Session, room: Room) -> list[Effect]:
        """See ``selections.Rooms``."""
        self.sessions[session].discard(room.name)
        session.finish(room.name)
        effects = [*self._drop_held(session, room.name), Wake(session)]
        return effects + self._leave_room(session, room)

    def hold(self, session: Session, size: int) -> None:
        """See ``doubts.Court``."""
        if session not in self._held and size < 0:
            return
        self._held[session] += size
        if size > 0 and self._held[session] > MAX_HELD_BYTES:
            raise PeerError(Code.TOO_BIG, "too much that waits for what has not come")

    def queue(self, room: Room, updates: Iterable[Incoming], *, alone: bool) -> None:
        """See ``doubts.Court``."""
        room.receive(updates, alone=alone)
        self._due[room.name] = room

    def handle(
        self, session: Session, event: DocumentEvent, facts: UpdateFacts | None = None
    ) -> list[Effect]:
        """Decide on one event of a session; its document must be loaded.

        ``facts`` are handed in when the update was inspected elsewhere already.
        """
        if session.state is State.CLOSED:
            return []
        room = self.rooms[event.document]
        try:
            match event:
                case UpdateReceived():
                    effects = self._update_received(session, room, event, facts)
                    if effects and event.answer:
                        effects += self.selections.answered(session, event.document)
                    if not room.authors.doubts:
                        return effects
                    if event.answer and not event.more:
                        room.authors.answered(session)
                    return effects + self.doubts.settle(room)
                case DocumentOpened():
                    return self._opened(session, room, event)
                case PresenceReceived():
                    return self._presence_received(session, room, event)
                case DocumentEntered():
                    return self._entered(session, room)
                case PresenceAsked():
                    return self._presence_asked(session, room)
                case DocumentReleased():
                    return self._released(session, room)
                case _:
                    room.ask(session)
                    return [Wake(session)]
        except PeerError as error:
            session.close(error.code, error.reason)
            return [Wake(session)]

    def forget(self, document: str) -> list[Effect]:
        """This device keeps a document, which is in memory and not busy, no longer.

        It is closed to everybody; nothing is said of it. What is stored of it has to be removed
        before anything else is read.
        """
        room = self.rooms[document]
        effects: list[Effect] = []
        for session in tuple(room.members):
            self.selections.released(session, document)
            effects += self.let_go(session, room)
        size = min(room.stored_bytes, self.usage[collection_of(document)])
        self.usage[collection_of(document)] -= size
        self._total -= size
        if document in self.rooms:
            self._drop(document)
        self.selections.forgotten(document)
        return effects

    def broken(self, document: str) -> list[Effect]:
        """A document in memory is not to be used again: read it anew from the store."""
        self.rooms[document].document = None
        return [Load(document)]

    def unreadable(self, session: Session, event: DocumentEvent) -> list[Effect]:
        """What the store holds of a document cannot be read: turn away who wants it."""
        effects: list[Effect] = []
        if isinstance(event, UpdateReceived):
            session.refuse(event.document, event.number, Code.UNAVAILABLE, UNREADABLE)
            effects.append(Persist((), (Receipt(session, event.number),)))
        elif isinstance(event, DocumentOpened | DocumentEntered):
            session.deny(event.document, Code.UNAVAILABLE, UNREADABLE)
        return [*effects, Wake(session)]

    def refused(
        self, session: Session, event: UpdateReceived, error: PeerError, *, decided: bool = True
    ) -> list[Effect]:
        """An update was refused: tell its author, keep it for inspection.

        In a flood of them only some are kept. ``decided``: nothing of it is taken either.
        """
        effects = self._drop_held(session, event.document)
        self.counts.refused += 1
        session.refuse(event.document, event.number, error.code, error.reason)
        kept: tuple[Refusal, ...] = ()
        if self._kept_refusals < KEPT_REFUSALS:
            self._kept_refusals += 1
            author = session.identity
            kept = (Refusal(event.document, event.update, author, error.code, error.reason),)
        persist = Persist(kept, (Receipt(session, event.number),) if decided else ())
        return [*effects, persist, Wake(session)]

    def applying(self) -> list[tuple[str, str, bytes]]:
        """Document, author and bytes of what the next turn will give to the decoder."""
        return [
            (room.name, item.session.identity, item.update)
            for room in self._next_rooms()
            for item in room.next_batch()
        ]

    def turn(self) -> list[Effect]:
        """Apply what is queued; wakes come before writes, so relaying never waits.

        Large documents may be left for a later turn: go on while there is something ``due``.
        """
        records: list[Change | Refusal] = []
        receipts: list[Receipt] = []
        woken: set[Session] = set()
        late: list[Effect] = []
        changed: list[str] = []
        answered: list[tuple[Session, str]] = []
        rooms = self._next_rooms()
        self._put_off = self._put_off + 1 if len(rooms) < len(self._due) else 0
        for room in rooms:
            outcome = room.turn()
            if outcome.records:
                changed.append(room.name)
            woken |= outcome.woken
            records += outcome.records
            receipts += [Receipt(item.session, item.number) for item in outcome.decided]
            answered += [(item.session, room.name) for item in outcome.decided if item.answer]
            self._count(room, outcome.records)
            if outcome.reload:
                late.append(Load(room.name))
            elif (compaction := room.compaction()) is not None:
                late.append(compaction)
        late += self.selections.changed(changed)
        for session, name in answered:
            late += self.selections.answered(session, name)
        self._due = {name: room for name, room in self._due.items() if room.due}
        effects: list[Effect] = [WakeAll(woken)] if woken else []
        if receipts:
            effects.append(Persist(tuple(records), tuple(receipts)))
        return effects + late

    def _next_rooms(self) -> list[Room]:
        rooms = [room for room in self._due.values() if room.due]
        alone = next((room for room in rooms if room.suspects), None)
        if alone is not None:
            return [alone]
        if self._put_off < TURNS_PUT_OFF:
            return [room for room in rooms if room.stored_bytes <= LARGE_BYTES]
        return rooms

    @property
    def due(self) -> bool:
        """Whether ``turn`` has work."""
        return bool(self._due)

    def stored(self, receipts: Sequence[Receipt]) -> list[Effect]:
        """What the receipts stand for is on the disk."""
        for receipt in receipts:
            receipt.session.acknowledge(receipt.number)
        return [Wake(session) for session in {receipt.session: None for receipt in receipts}]

    def answer(self, document: str, state_vector: bytes) -> Answer | None:
        """What a peer with this state vector lacks; None while the document is being read."""
        room = self.rooms.get(document)
        return None if room is None else room.answer(state_vector)

    def presence(self, document: str, clients: Iterable[int] | None) -> list[bytes]:
        """Awareness of these clients, or of everybody who is here, as payloads."""
        room = self.rooms.get(document)
        return [] if room is None else room.presence.payloads(clients)

    def tick(self, now: float) -> list[Effect]:
        """Let time pass: keep links alive or give them up, forget who went silent."""
        self.now = now
        self._forget_written(now)
        late = self.selections.tick(now)
        if now - self._kept_refusals_since >= KEPT_REFUSALS_SECONDS:
            self._kept_refusals, self._kept_refusals_since = 0, now
        effects: list[Effect] = [Wake(session) for session in self.sessions if session.tick(now)]
        for name in list(self._present):
            room = self.rooms[name]
            told = room.show(room.presence.expire(now), None)
            effects += [Wake(session) for session in told]
            if not room.presence:
                self._present.discard(name)
        return effects + late + self.doubts.tick(now)

    def _forget_written(self, now: float) -> None:
        if now - self._day_began >= DAY_SECONDS:
            self._day_began = now
            self._written.clear()
        elif len(self._written) > MAX_COUNTED_PEERS:
            self._written = Counter(dict(self._written.most_common(MAX_COUNTED_PEERS // 2)))

    def _update_received(
        self, session: Session, room: Room, event: UpdateReceived, facts: UpdateFacts | None
    ) -> list[Effect]:
        try:
            if facts is None:
                facts = inspect_update(event.update, self.limits)
            suspected = self._check_digest(event.update)
            room.check(facts)
        except PeerError as error:
            return self.refused(session, event, error)
        if facts.spans or facts.deletes:
            declined = self._decline(session, room, event, facts)
            if declined is not None:
                return self._drop_held(session, event.document) + declined
            self._written[session.identity] += len(event.update)
        incoming = Incoming(session, event.update, facts, event.number, event.answer)
        if event.more:
            self.hold(session, cost([incoming]))
            room.hold(incoming)
            return []
        parts, size = room.take_held(session)
        self._held[session] -= size
        self.counts.updates += 1
        batch = [*parts, incoming]
        if room.doubts(batch, self.now, alone=suspected):
            self.doubts.raised(room)
            self.hold(session, cost(batch))
        else:
            room.receive(batch, alone=suspected)
            self._due[room.name] = room
        return []

    def _drop_held(self, session: Session, document: str) -> list[Effect]:
        """The parts of an answer whose last part will not come stay with their author."""
        room = self.rooms.get(document)
        parts, size = ((), 0) if room is None else room.take_held(session)
        if not parts:
            return []
        self._held[session] -= size
        for part in parts:
            session.refuse(document, part.number, Code.RESET, LOST_PART)
        receipts = tuple(Receipt(session, part.number) for part in parts)
        return [Persist((), receipts), Wake(session)]

    def _decline(
        self, session: Session, room: Room, event: UpdateReceived, facts: UpdateFacts
    ) -> list[Effect] | None:
        size = len(event.update) + self._held[session]
        collection = self.usage[collection_of(event.document)]
        if not session.may_write(event.document):
            code, reason = Code.FORBIDDEN, "no right to write here"
        elif self.store_trouble:
            code, reason = Code.UNAVAILABLE, self.store_trouble
        elif collection + size > self._quotas.collection_bytes:
            code, reason = Code.QUOTA, "this collection is full"
        elif self._total + size > self._quotas.store_bytes:
            code, reason = Code.QUOTA, "the store is full"
        elif self._written[session.identity] + size > self._quotas.peer_daily_bytes:
            code, reason = Code.QUOTA, "this device wrote too much today"
        elif not room.admits(session.identity, facts):
            code, reason = Code.QUOTA, "this document has too many authors"
        else:
            return None
        # Not quarantined: the update may be sound, its author keeps it and may try again.
        self.counts.refused += 1
        session.refuse(event.document, event.number, code, reason)
        return [Persist((), (Receipt(session, event.number),)), Wake(session)]

    def _check_digest(self, update: bytes) -> bool:
        """Whether the update is a suspect; one in quarantine raises ``PeerError``."""
        if not self._quarantined and not self._suspected:
            return False
        digest = blake2b(update, digest_size=16).digest()
        if digest in self._quarantined:
            raise PeerError(Code.REFUSED, "this update was refused before")
        return digest in self._suspected

    def _count(self, room: Room, records: Sequence[Change | Refusal]) -> None:
        collection = collection_of(room.name)
        for record in records:
            if isinstance(record, Change):
                self.usage[collection] += len(record.update)
                self._total += len(record.update)
            else:
                self.counts.refused += 1
                self._quarantined.add(blake2b(record.update, digest_size=16).digest())

    def _entered(self, session: Session, room: Room) -> list[Effect]:
        self._occupy(session, room)
        room.enter(session)
        return [Wake(session)]

    def _opened(self, session: Session, room: Room, event: DocumentOpened) -> list[Effect]:
        inspect_state_vector(event.state_vector, self.limits)
        self._occupy(session, room)
        asked = self.selections.entered(session, room.name)
        room.open(session, event.state_vector, asked=asked)
        # With its answer, which follows, it is known whether it wants the document.
        return [Wake(session)]

    def _occupy(self, session: Session, room: Room) -> None:
        held = self.sessions[session]
        few = len(held) < FEW_ROOMS and self._used < MAX_ROOMS
        if self.full and not few and room.name not in held:
            raise PeerError(Code.TOO_MANY, "too many documents are open on this gateway")
        self._idle.pop(room.name, None)
        held.add(room.name)

    @property
    def _used(self) -> int:
        return len(self.rooms) - len(self._idle)

    def _presence_received(
        self, session: Session, room: Room, event: PresenceReceived
    ) -> list[Effect]:
        entries = inspect_awareness(event.payload, self.limits)
        news = room.presence.update(session, session.identity, entries, self.now)
        self._present.add(room.name)
        session.echo_presence(room.name, [entry.client for entry in entries])
        return [Wake(session), *(Wake(told) for told in room.show(news, session))]

    def _presence_asked(self, session: Session, room: Room) -> list[Effect]:
        session.offer_presence(room.name, None)
        return [Wake(session)]

    def _released(self, session: Session, room: Room) -> list[Effect]:
        self.sessions[session].discard(room.name)
        self.selections.released(session, room.name)
        session.released(room.name)
        effects = self._drop_held(session, room.name)
        return [*effects, Wake(session), *self._leave_room(session, room)]

    def _leave_room(self, session: Session, room: Room) -> list[Effect]:
        told = room.leave(session, self.now)
        settled = self.doubts.settle(room)
        if not room.members:
            self._idle[room.name] = None
            self._retire()
        return [*settled, *(Wake(member) for member in told)]

    def _retire(self) -> None:
        """Forget what nobody is in; work that is still queued keeps its document."""
        surplus = len(self._idle) - IDLE_ROOMS
        if surplus <= 0:
            return
        unused = (name for name in self._idle if not self.rooms[name].busy)
        for name in list(islice(unused, surplus)):
            self._drop(name)

    def _drop(self, name: str) -> None:
        self.selections.dropped(name)
        del self._idle[name]
        del self.rooms[name]
        held = self._held_of[collection_of(name)]
        del held[name]
        if not held:
            del self._held_of[collection_of(name)]
        self._present.discard(name)
