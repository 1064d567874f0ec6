"""A session of the mesh protocol: many documents over one link, with durable acks.

docs/protocol.md sections 3 and 4. States (NOISE →) HELLO → AUTH → OPEN → CLOSED; the way to
OPEN is ``gateway.core.handshake``.
"""

from collections.abc import Iterable, Sequence

from gateway.core import messages as m
from gateway.core.acks import Decided
from gateway.core.allotment import Allotment
from gateway.core.deliveries import Deliveries
from gateway.core.entrance import Entrance
from gateway.core.errors import Code, PeerError
from gateway.core.events import (
    ChangesDropped,
    Compared,
    Declined,
    Delivered,
    DocumentOpened,
    DocumentReleased,
    Event,
    PeersHeard,
    PresenceReceived,
    RevocationsHeard,
    Subscribed,
    Unsubscribed,
    UpdateReceived,
)
from gateway.core.framing import batches, frame, records
from gateway.core.handshake import (
    HANDSHAKE_SECONDS,
    Admit,
    Credential,
    Handshake,
    LocalPeer,
)
from gateway.core.names import MAX_NAME_BYTES, check_collection, check_name
from gateway.core.outbox import Diff, Documents, Relay
from gateway.core.session import SEND_BYTES, Progress, Standing, State
from gateway.core.split import split_update

# A link that says nothing is asked after 15 s and given up after 45 s.
PING_SECONDS = 15.0
SILENCE_SECONDS = 45.0
MAX_DOCUMENTS = 20_000
# Bytes of a DIFF record around its update: length, type, handle, flags, fingerprint.
DIFF_OVERHEAD = 40


class MeshSession(Handshake):
    """One side of a mesh link. Satisfies ``Session``.

    ``admission``: the accepting side turns a method and credential into grants by it, or
    raises ``PeerError``; on the calling side it is what we show to be let in. An ``Entrance`` is
    both, for a sealed link between members of a store.
    """

    kind = "mesh"

    def __init__(
        self,
        local: LocalPeer,
        admission: Admit | Credential | Entrance,
        address: str,
        now: float,
    ) -> None:
        super().__init__(local, admission)
        self.address = address
        self.sent_bytes = 0
        self.unsaved = 0
        self._deliveries = Deliveries()
        self._received = 0
        self._decided = Decided()
        self._acknowledged = 0
        self._theirs: dict[int, str] = {}
        self._opened_by_peer: set[str] = set()
        self._ours: dict[str, int] = {}
        self._next_handle = 1
        self._asked: set[str] = set()
        # Documents we sent CLOSE for; the peer's own is still to come, and only completes it.
        self._closing: set[str] = set()
        self._allotment = Allotment()
        self.started = self._now = self._heard_at = self._sent_at = now
        self._heard_before = self._sent_before = 0
        self._nonce = 0

    def first_events(self) -> Sequence[Event]:
        """See ``Session``."""
        return ()

    def receive(self, data: bytes) -> Sequence[Event]:
        """See ``Session``."""
        if self.state is State.CLOSED:
            return ()
        self.received_bytes += len(data)
        events: list[Event] = []
        try:
            handshake = self.state is State.NOISE
            for place, record in enumerate(records(self._batch(data))):
                if handshake and place:
                    # What follows would not be authenticated.
                    raise PeerError(Code.MALFORMED, "a handshake message comes alone")
                event = self._take(m.decode(record)) if self._allotment.reads(record) else None
                events += self._also
                self._also.clear()
                if event is not None:
                    events.append(event)
        except PeerError as error:
            self.close(error.code, error.reason)
        if self._heard_of:
            events.append(RevocationsHeard(tuple(self._heard_of)))
            self._heard_of.clear()
        return events

    def data_to_send(self, documents: Documents) -> list[bytes]:
        """See ``Session``."""
        outbox = self.outbox
        if self._decided.upto > self._acknowledged:
            self._acknowledged = self._decided.upto
            self._put(m.Ack(self._acknowledged))
        framed, outbox.records = outbox.records, []
        size = sum(map(len, framed))
        for document in sorted(outbox.stale):
            framed.append(frame(m.encode(m.Stale(self._ours[document]))))
        outbox.stale.clear()
        limit = self._message_bytes - DIFF_OVERHEAD
        while size < SEND_BYTES and (diff := outbox.take_diff(documents, limit)) is not None:
            framed.append(self._diff(diff))
            size += len(framed[-1])
        if size < SEND_BYTES:
            framed += self._live_updates()
            framed += self._presence(documents)
            framed += self._finish()
        sent, outbox.bare = outbox.bare, []
        for batch in batches(framed, self._message_bytes):
            sent.append(self._entrance.channel.seal(batch) if self._entrance else batch)
        self.sent_bytes += sum(map(len, sent))
        return sent

    def may_write(self, document: str) -> bool:
        """See ``Session``."""
        return self._may(document, m.RIGHT_WRITE)

    def may_read(self, document: str) -> bool:
        """See ``Session``."""
        return self._may(document, m.RIGHT_READ)

    def writes_as(self, client: int) -> bool:
        """See ``Session``."""
        return not self._relays or client == self._client

    def subscribe(self, number: int, collection: str, selector: str) -> None:
        """See ``Session``."""
        if self.state is State.OPEN and self._subscribable:
            self._put(m.Subscribe(number, collection, selector))

    def reconcile(self, number: int, *, ours: bool, payload: bytes) -> None:
        """See ``Session``."""
        if self.state is State.OPEN:
            self._put(m.Reconcile(2 * number + (not ours), payload))

    def ask(self, document: str, state_vector: bytes) -> None:
        """See ``Session``."""
        if document in self.outbox.finishing:
            # It left the selection and is back: the peer has to say again what it has.
            self.released(document)
        if self.state is not State.OPEN or document in self._asked:
            return
        self._asked.add(document)
        handle = self._ours.get(document)
        if handle is None:
            handle = self._ours[document] = self._next_handle
            self._next_handle += 1
        self._put(m.Open(handle, document, state_vector))

    def awaits(self, document: str) -> bool:
        """See ``Session``."""
        return document in self._asked

    def offer(self, document: str, relay: Relay) -> None:
        """See ``Session``."""
        if self.state is State.OPEN:
            self.outbox.offer(document, relay)

    def offer_presence(self, document: str, clients: Iterable[int] | None) -> None:
        """See ``Session``."""
        if self.state is State.OPEN:
            self.outbox.owe_presence(document, clients)

    def echo_presence(self, document: str, clients: Iterable[int]) -> None:
        """See ``Session``. A mesh link lives by PING."""

    def finish(self, document: str) -> None:
        """See ``Session``."""
        if self.state is State.OPEN:
            self.outbox.finishing[document] = None

    def released(self, document: str) -> None:
        """See ``Session``."""
        if document in self._ours and self.state is State.OPEN:
            self._put(self._close_handle(document))
        self._asked.discard(document)
        self.outbox.forget(document)

    def acknowledge(self, number: int) -> None:
        """See ``Session``."""
        self._decided.add(number)
        self.unsaved -= 1

    def refuse(self, document: str, number: int, code: Code, reason: str) -> None:
        """See ``Session``."""
        if self.state is State.OPEN:
            self._put(m.Refuse(number, code, reason))

    def deny(self, document: str, code: Code, reason: str) -> None:
        """See ``Session``."""
        if self.state is State.OPEN:
            self._put(m.Deny(document, code, reason))

    def progress(self, document: str) -> Progress:
        """See ``Session``."""
        updates, since = self._deliveries.outstanding(document)
        if self.outbox.holds(document):
            return Progress(Standing.WAITS, updates, since)
        if self._deliveries.lacks(document):
            return Progress(Standing.DECLINED, updates, since)
        if updates:
            return Progress(Standing.SENT, updates, since)
        return Progress(Standing.HAS if self._saves else Standing.TOLD)

    def tick(self, now: float) -> bool:
        """See ``Session``."""
        self._now = now
        if self.state is State.CLOSED:
            return False
        self._allotment.renew()
        if self.received_bytes != self._heard_before:
            self._heard_before, self._heard_at = self.received_bytes, now
        if self.sent_bytes != self._sent_before:
            self._sent_before, self._sent_at = self.sent_bytes, now
        if self.state is not State.OPEN and now - self.started >= HANDSHAKE_SECONDS:
            self.close(Code.TIMEOUT, "the link was not opened in time")
        elif now - self._heard_at >= SILENCE_SECONDS:
            self.close(Code.TIMEOUT, "nothing was heard for too long")
        elif self.state is State.OPEN and now - self._sent_at >= PING_SECONDS:
            self._sent_at = now
            self._nonce += 1
            self._put(m.Ping(self._nonce))
        return bool(self.outbox)

    def tell(self, entries: tuple[m.PeerEntry, ...]) -> None:
        """Tell who is linked to whom, unless the link is behind or takes nothing so large."""
        if self.state is not State.OPEN or not (self.tells_peers and self.reads_all):
            return
        record = m.Peers(entries)
        waiting = sum(map(len, self.outbox.records))
        if len(m.encode(record)) < self._message_bytes - DIFF_OVERHEAD and waiting < SEND_BYTES:
            self._put(record)

    def _take(self, record: m.Record | None) -> Event | None:
        if record is None or self.state is State.CLOSED:
            return None
        self._check_state(record)
        if self.state is not State.OPEN or isinstance(record, m.Goodbye):
            return self._handshake(record)
        match record:
            case m.Update():
                return self._update_received(record.handle, record.update)
            case m.Diff():
                more = bool(record.flags & m.DIFF_MORE)
                return self._update_received(record.handle, record.update, answer=True, more=more)
            case m.Open():
                return self._opened(record)
            case m.Awareness():
                return PresenceReceived(self._document(record.handle), record.payload)
            case m.Close():
                return self._released(record.handle)
            case m.Stale():
                return self._stale(record.handle)
            case m.Subscribe():
                return self._subscribed(record)
            case m.Unsubscribe():
                self._allotment.change()
                self._allotment.drop(record.subscription)
                return Unsubscribed(record.subscription)
            case m.Reconcile():
                number, ours = divmod(record.exchange, 2)
                return Compared(number, bool(ours), record.ranges)
            case m.Ack() | m.Refuse() | m.Deny() | m.Peers():
                return self._answered(record)
            case m.Revoked() | m.Digest():
                self._revocations(record)
            case m.Ping():
                self._put(m.Pong(record.nonce))
        return None

    def _answered(self, record: m.Ack | m.Refuse | m.Deny | m.Peers) -> Event | None:
        match record:
            case m.Peers():
                wanted = self.tells_peers and self.reads_all
                return PeersHeard(record.entries) if wanted else None
            case m.Ack():
                delivered = self._deliveries.acknowledged(record.number)
                return Delivered(delivered) if delivered else None
            case m.Refuse():
                document = self._deliveries.refused(record.number)
                return Declined(document, record.code, record.reason) if document else None
            case _:
                return Declined(record.document, record.code, record.reason)

    def _opened(self, record: m.Open) -> Event | None:
        known = self._theirs.get(record.handle)
        if known != record.document:
            if known is not None or record.handle == 0 or record.document in self._opened_by_peer:
                raise PeerError(Code.MALFORMED, "a handle that cannot be bound")
            try:
                self._check_open(record.document)
            except PeerError as error:
                self.deny(record.document, error.code, error.reason)
                return None
            self._theirs[record.handle] = record.document
            self._opened_by_peer.add(record.document)
        return DocumentOpened(record.document, record.state_vector)

    def _check_open(self, document: str) -> None:
        check_name(document)
        if not self._may(document, m.RIGHT_READ):
            raise PeerError(Code.FORBIDDEN, "no right to read this document")
        if len(self._theirs) >= MAX_DOCUMENTS:
            raise PeerError(Code.TOO_MANY, f"more than {MAX_DOCUMENTS} open documents")

    def _subscribed(self, record: m.Subscribe) -> Event | None:
        selector = self._allotment.read(record.selector)
        try:
            check_collection(record.collection)
            if not self._may(f"{record.collection}/", m.RIGHT_READ):
                raise PeerError(Code.FORBIDDEN, "no right to read this collection")
        except PeerError as error:
            self.deny(record.collection[:MAX_NAME_BYTES], error.code, error.reason)
            return None
        self._allotment.hold(record.subscription, selector, record.selector)
        return Subscribed(record.subscription, record.collection, selector)

    def _stale(self, handle: int) -> Event:
        document = self._document(handle)
        self._asked.discard(document)
        return ChangesDropped(document)

    def _released(self, handle: int) -> Event | None:
        document = self._document(handle)
        del self._theirs[handle]
        self._opened_by_peer.discard(document)
        if document in self._closing:
            self._closing.discard(document)
            return None
        # Our own side of it ends when the hub has come so far (``released``).
        return DocumentReleased(document)

    def _update_received(
        self, handle: int, update: bytes, *, answer: bool = False, more: bool = False
    ) -> Event:
        self._received += 1
        self.unsaved += 1
        document = self._document(handle)
        if answer and not more:
            self._asked.discard(document)
        return UpdateReceived(document, update, self._received, answer=answer, more=more)

    def _document(self, handle: int) -> str:
        document = self._theirs.get(handle)
        if document is None:
            raise PeerError(Code.MALFORMED, "a handle that is not bound")
        return document

    def _diff(self, diff: Diff) -> bytes:
        flags = m.DIFF_MORE if diff.more else 0
        handle = self._ours[diff.document]
        if self._saves:
            self._deliveries.sent(diff.document, self._now)
        return frame(m.encode(m.Diff(handle, flags, diff.fingerprint, diff.update)))

    def _presence(self, documents: Documents) -> list[bytes]:
        return [
            frame(m.encode(m.Awareness(self._ours[document], payload)))
            for document, payload in self.outbox.take_presence(documents)
        ]

    def _finish(self) -> list[bytes]:
        framed = []
        for document in [name for name in self.outbox.finishing if not self.outbox.owes(name)]:
            del self.outbox.finishing[document]
            self._asked.discard(document)
            framed.append(frame(m.encode(self._close_handle(document))))
        return framed

    def _close_handle(self, document: str) -> m.Close:
        if document in self._opened_by_peer:
            self._closing.add(document)
        return m.Close(self._ours.pop(document))

    def _live_updates(self) -> list[bytes]:
        framed = []
        for document, relay in self.outbox.take_relays():
            limit = self._message_bytes - DIFF_OVERHEAD
            for part in (
                [relay.update] if len(relay.update) <= limit else split_update(relay.update, limit)
            ):
                if self._saves:
                    self._deliveries.sent(document, self._now)
                framed.append(frame(m.encode(m.Update(self._ours[document], part))))
        return framed
