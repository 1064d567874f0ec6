"""A session of the mesh protocol: many documents over one link, with durable acks.

docs/protocol.md sections 3 and 4. States (NOISE →) HELLO → AUTH → OPEN → CLOSED; the way to
OPEN is ``gateway.core.handshake``, what is sent ``gateway.core.sending``.
"""

from collections.abc import Sequence

from gateway.core import messages as m
from gateway.core.allotment import Allotment
from gateway.core.allowance import Terms
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
from gateway.core.framing import MESSAGE_BYTES, records
from gateway.core.handshake import (
    Admit,
    Credential,
    LocalPeer,
)
from gateway.core.names import MAX_NAME_BYTES, check_collection, check_name
from gateway.core.packing import unpack
from gateway.core.sending import Sending
from gateway.core.session import State

MAX_DOCUMENTS = 20_000
NO_TERMS = Terms()


class MeshSession(Sending):
    """One side of a mesh link. Satisfies ``Session``.

    ``admission``: the accepting side turns a method and credential into grants by it, or
    raises ``PeerError``; on the calling side it is what we show to be let in. An ``Entrance`` is
    both, for a sealed link between members of a store. ``terms``: how much is sent, and what
    first.
    """

    kind = "mesh"

    def __init__(
        self,
        local: LocalPeer,
        admission: Admit | Credential | Entrance,
        address: str,
        now: float,
        terms: Terms = NO_TERMS,
    ) -> None:
        super().__init__(local, admission, now, terms)
        self.address = address
        self._received = 0
        self._theirs: dict[int, str] = {}
        self._allotment = Allotment()
        # What the peer said of its store last.
        self.store_state = b""

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
            for place, record in enumerate(self._records(self._batch(data))):
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

    def _records(self, batch: bytes) -> list[bytes]:
        """The records of a batch, inflated where it is deflated. Raises ``PeerError``."""
        found = records(batch)
        if not self._inflates or self.state is not State.OPEN or found[0][0] != m.DEFLATED:
            return found
        if len(found) > 1:
            raise PeerError(Code.MALFORMED, "deflated records come alone")
        return records(unpack(found[0][1:], MESSAGE_BYTES))

    def tick(self, now: float) -> bool:
        """See ``Session``."""
        if self.state is not State.CLOSED:
            self._allotment.renew()
        return super().tick(now)

    def may_write(self, document: str) -> bool:
        """See ``Session``."""
        return self._may(document, m.RIGHT_WRITE)

    def may_read(self, document: str) -> bool:
        """See ``Session``."""
        return self._may(document, m.RIGHT_READ)

    def writes_as(self, client: int) -> bool:
        """See ``Session``."""
        return not self._relays or client == self._client

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
            case m.Revoked() | m.Digest() | m.Ping() | m.State():
                self._heard(record)
        return None

    def _heard(self, record: m.Revoked | m.Digest | m.Ping | m.State) -> None:
        match record:
            case m.Ping():
                self._put(m.Pong(record.nonce))
            case m.State():
                self.store_state = record.digest
            case _:
                self._revocations(record)

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
