"""A session of the mesh protocol: many documents over one link, with durable acks.

docs/protocol.md sections 3 and 4. States (NOISE →) HELLO → AUTH → OPEN → CLOSED; the table
``_ALLOWED`` says which records each state takes.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.core import messages as m
from gateway.core.acks import Decided
from gateway.core.allotment import Allotment
from gateway.core.deliveries import Deliveries
from gateway.core.entrance import Accepting, Calling, Entrance
from gateway.core.errors import Code, PeerError
from gateway.core.events import (
    ChangesDropped,
    Compared,
    Declined,
    Delivered,
    DevicePaired,
    DocumentOpened,
    DocumentReleased,
    Event,
    LinkOpened,
    MembershipGained,
    PresenceReceived,
    RevocationsHeard,
    Subscribed,
    Unsubscribed,
    UpdateReceived,
)
from gateway.core.framing import MESSAGE_BYTES, batches, frame, records
from gateway.core.membership import Admitted, allows
from gateway.core.names import MAX_NAME_BYTES, check_collection, check_name
from gateway.core.outbox import Diff, Documents, Outbox, Relay
from gateway.core.reconcile import MAX_PAYLOAD_BYTES, MIN_PAYLOAD_BYTES
from gateway.core.session import SEND_BYTES, Farewell, Progress, Standing, State
from gateway.core.split import split_update

# An unknown caller gets this long and this much (security: pre-auth limits).
HANDSHAKE_SECONDS = 10.0
HANDSHAKE_BYTES = 4_096
# A link that says nothing is asked after 15 s and given up after 45 s.
PING_SECONDS = 15.0
SILENCE_SECONDS = 45.0
MAX_DOCUMENTS = 20_000
# Bytes of a DIFF record around its update: length, type, handle, flags, fingerprint.
DIFF_OVERHEAD = 40
# Those of a RECONCILE record around its ranges.
RECONCILE_OVERHEAD = 32

Admit = Callable[[int, bytes], m.Grants]
# Method and credential with which we ask to be let in.
Credential = tuple[int, bytes]
# Whom we call we chose ourselves.
TRUSTED: m.Grants = (("*", m.RIGHT_READ | m.RIGHT_WRITE),)


@dataclass(frozen=True, slots=True)
class LocalPeer:
    """What we say of ourselves in HELLO."""

    peer: bytes
    features: int
    about: m.Pairs


_ALLOWED: dict[State, frozenset[type[m.Record]]] = {
    State.NOISE: frozenset({m.Noise, m.Goodbye}),
    State.HELLO: frozenset({m.Hello, m.Goodbye}),
    State.AUTH: frozenset({m.Auth, m.Grant, m.Goodbye, m.Ticket, m.Member}),
    State.OPEN: frozenset(
        {
            m.Goodbye, m.Ping, m.Pong, m.Open, m.Diff, m.Update, m.Close, m.Ack, m.Refuse,
            m.Deny, m.Awareness, m.Stale, m.Subscribe, m.Unsubscribe, m.Reconcile, m.Peers,
            m.Revoked, m.Digest,
        }
    ),
    State.CLOSED: frozenset(),
}  # fmt: skip


class MeshSession:
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
        self.identity = ""
        self.address = address
        self.about: dict[str, str] = {}
        self.farewell: Farewell | None = None
        self.told: tuple[int, str] | None = None
        self.member: Admitted | None = None
        self.outbox = Outbox()
        self.received_bytes = 0
        self.sent_bytes = 0
        self.unsaved = 0
        self.reconciles = self.large = self.reads_all = False
        self._entrance = admission if isinstance(admission, Accepting | Calling) else None
        self.calling = self._entrance.calling if self._entrance else not callable(admission)
        self.payload_bytes = MAX_PAYLOAD_BYTES
        # What the peer lets us do; known on the calling side.
        self.granted: m.Grants = ()
        self._local = local
        self._admission = admission
        self._subscribable = self._saves = self._relays = False
        # The client id under which a peer that relays writes itself.
        self._client: int | None = None
        self._deliveries = Deliveries()
        self._grants: m.Grants = ()
        self._message_bytes = MESSAGE_BYTES
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
        # What the last message held besides events of its records.
        self._also: list[Event] = []
        self._heard_of: list[bytes] = []
        self._was_compared = False
        self.state = State.NOISE if self._entrance else State.HELLO
        if self._entrance is None:
            self._greet()
        elif isinstance(self._entrance, Calling):
            self._put_bare(self._entrance.channel.call())

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
            # Whom we called may grant much.
            most = MESSAGE_BYTES if self.calling else HANDSHAKE_BYTES
            if self.state is not State.OPEN and self.received_bytes > most:
                raise PeerError(Code.TOO_BIG, "too much before the link was open")
            handshake = self.state is State.NOISE
            for place, record in enumerate(records(self._unsealed(data))):
                if handshake and place:
                    # What follows would not be authenticated.
                    raise PeerError(Code.MALFORMED, "a handshake message comes alone")
                event = self._take(m.decode(record))
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

    def close(self, code: Code, reason: str) -> None:
        """See ``Session``."""
        if self.state is State.CLOSED:
            return
        self._end(code, reason)
        if self._entrance is None or self._entrance.channel.sealed:
            self._put(m.Goodbye(code, reason))
        else:
            self._put_bare(m.Goodbye(code, reason))

    def revoked(self, entries: Iterable[bytes]) -> None:
        """See ``Session``."""
        if self.state is State.OPEN and self._entrance is not None:
            for entry in entries:
                self._put(m.Revoked(entry))

    def _greet(self) -> None:
        local = self._local
        self._put(
            m.Hello(m.VERSION, m.VERSION, local.peer, local.features, MESSAGE_BYTES, local.about)
        )

    def _unsealed(self, message: bytes) -> bytes:
        """The batch of a link message."""
        if self._entrance is not None and self._entrance.channel.sealed:
            try:
                message = self._entrance.open(message)
            except PeerError as error:
                # Nothing can be said any more.
                self._end(error.code, error.reason)
                raise
        if len(message) > MESSAGE_BYTES:
            raise PeerError(Code.TOO_BIG, f"a message above {MESSAGE_BYTES} bytes")
        return message

    def _end(self, code: Code, reason: str) -> None:
        self.state = State.CLOSED
        self.farewell = Farewell(code, reason)
        self.outbox.clear()

    def _put(self, record: m.Record) -> None:
        self.outbox.records.append(frame(m.encode(record)))

    def _put_bare(self, record: m.Record) -> None:
        self.outbox.bare.append(frame(m.encode(record)))

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
            case m.Ack() | m.Refuse() | m.Deny():
                return self._answered(record)
            case m.Revoked() | m.Digest():
                self._revocations(record)
            case m.Ping():
                self._put(m.Pong(record.nonce))
        return None

    def _check_state(self, record: m.Record) -> None:
        if type(record) in _ALLOWED[self.state]:
            return
        if self.state is State.NOISE:
            # Who called speaks in the open, or who was called answers in the open.
            raise PeerError(Code.UNAUTHORISED, "only members of this store are let in: pair first")
        name = type(record).__name__.upper()
        raise PeerError(Code.MALFORMED, f"{name} does not belong here")

    def _answered(self, record: m.Ack | m.Refuse | m.Deny) -> Event | None:
        match record:
            case m.Ack():
                delivered = self._deliveries.acknowledged(record.number)
                return Delivered(delivered) if delivered else None
            case m.Refuse():
                document = self._deliveries.refused(record.number)
                return Declined(document, record.code, record.reason) if document else None
            case _:
                return Declined(record.document, record.code, record.reason)

    def _handshake(self, record: m.Record) -> Event | None:
        match record:
            case m.Goodbye():
                self.told = (record.code, record.reason)
                self._end(Code.GOING_AWAY, "the peer said goodbye")
            case m.Noise():
                self._shake_hands(record)
            case m.Hello():
                self._greeted(record)
            case m.Auth() | m.Grant() | m.Ticket() | m.Member() if self._entrance is not None:
                return self._meet(self._entrance, record)
            case m.Auth() if callable(self._admission):
                grants = self._admission(record.method, record.credential)
                self._put(m.Grant(grants))
                return self._let_in(grants)
            case m.Grant() if self.calling:
                self.granted = record.grants
                return self._let_in(TRUSTED)
            case _:
                raise PeerError(Code.MALFORMED, "both sides called, or neither")
        return None

    def _shake_hands(self, record: m.Noise) -> None:
        assert self._entrance is not None
        for answer in self._entrance.step(record):
            self._put_bare(answer)
        if self._entrance.channel.sealed:
            self.state = State.HELLO
            self._greet()

    def _meet(self, entrance: Entrance, record: m.Record) -> Event | None:
        """Let the other side in by what it shows, on a sealed link."""
        peer = bytes.fromhex(self.identity)
        match record, entrance:
            case m.Auth(), Accepting():
                self.member, before = entrance.admit(record, peer)
                for told in (*before, m.Grant(self.member.grants)):
                    self._put(told)
                if entrance.device is not None:
                    self._also.append(DevicePaired(entrance.device))
                return self._let_in(self.member.grants)
            case m.Ticket(), Calling():
                self._also.append(MembershipGained(entrance.take(record)))
            case m.Member(), Calling():
                self.member = entrance.meet(record, peer)
            case m.Grant(), Calling() if self.member is not None:
                self.granted = record.grants
                return self._let_in(self.member.grants)
            case m.Grant(), Calling():
                raise PeerError(Code.UNAUTHORISED, "what answered did not show who it is")
            case _:
                raise PeerError(Code.MALFORMED, "both sides called, or neither")
        return None

    def _revocations(self, record: m.Revoked | m.Digest) -> None:
        membership = self._entrance.membership if self._entrance else None
        if membership is None:
            return
        known = membership.revocations
        if isinstance(record, m.Revoked):
            try:
                if known.add(record.entry):
                    self._heard_of.append(record.entry)
            except PeerError as error:
                if error.code is not Code.QUOTA:
                    raise
        elif not self._was_compared and record.revocations != known.digest():
            self.revoked(known.entries())
        self._was_compared |= isinstance(record, m.Digest)

    def _greeted(self, hello: m.Hello) -> None:
        if min(hello.highest, m.VERSION) < max(hello.lowest, m.VERSION):
            raise PeerError(
                Code.VERSION,
                f"this gateway speaks version {m.VERSION},"
                f" the peer {hello.lowest} to {hello.highest}",
            )
        if hello.message_bytes < HANDSHAKE_BYTES:
            raise PeerError(Code.MALFORMED, f"a peer must take messages of {HANDSHAKE_BYTES} bytes")
        if hello.peer == self._local.peer:
            raise PeerError(
                Code.TOO_MANY,
                "this is the same peer: called by itself, or its data folder was copied",
            )
        self._message_bytes = min(hello.message_bytes, MESSAGE_BYTES)
        self.payload_bytes = min(self._message_bytes - RECONCILE_OVERHEAD, MAX_PAYLOAD_BYTES)
        both = hello.features & self._local.features
        compares = both & m.FEATURE_RECONCILE and self.payload_bytes >= MIN_PAYLOAD_BYTES
        self.reconciles = bool(compares)
        self.large = bool(hello.features & m.FEATURE_LARGE)
        self._saves = bool(hello.features & m.FEATURE_SAVES)
        self._subscribable = bool(hello.features & m.FEATURE_SUBSCRIPTIONS)
        self.identity = hello.peer.hex()
        self.about = dict(hello.about)
        self._relays = bool(hello.features & m.FEATURE_RELAYS)
        client = self.about.get("client", "")
        self._client = int(client) if client.isascii() and client.isdigit() else None
        self.state = State.AUTH
        if isinstance(self._admission, Calling):
            self._put(self._admission.auth())
        elif isinstance(self._admission, tuple):
            self._put(m.Auth(*self._admission))

    def _let_in(self, grants: m.Grants) -> Event:
        self._grants = grants
        self.reads_all = any(name == "*" and rights & m.RIGHT_READ for name, rights in grants)
        self.state = State.OPEN
        if self._entrance is not None and self._entrance.membership is not None:
            self._put(m.Digest(self._entrance.membership.revocations.digest()))
        return LinkOpened()

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

    def _may(self, document: str, right: int) -> bool:
        return allows(self._grants, document, right)

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
