"""How a mesh session comes to be open: the secure layer, HELLO, AUTH, and what is known then.

docs/protocol.md section 3. ``Handshake`` is the lower half of ``MeshSession``: who the peer
is and what it may do, and the end of a session. The table ``_ALLOWED`` says which records
each state takes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.core import messages as m
from gateway.core.allowance import Allowance, Terms, heard
from gateway.core.entrance import Accepting, Calling, Entrance
from gateway.core.errors import Code, PeerError
from gateway.core.events import DevicePaired, Event, LinkOpened, MembershipGained
from gateway.core.framing import MESSAGE_BYTES, frame
from gateway.core.membership import Admitted, allows
from gateway.core.outbox import Outbox
from gateway.core.reconcile import MAX_PAYLOAD_BYTES, MIN_PAYLOAD_BYTES
from gateway.core.schedule import PACKED_PART_BYTES, PART_BYTES, Schedule
from gateway.core.session import Farewell, State

# An unknown caller gets this long and this much (security: pre-auth limits).
HANDSHAKE_SECONDS = 10.0
HANDSHAKE_BYTES = 4_096
# Bytes of a RECONCILE record around its ranges.
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
            m.Revoked, m.Digest, m.State,
        }
    ),
    State.CLOSED: frozenset(),
}  # fmt: skip


class Handshake:
    """The state of a mesh session, and what both sides told each other until it was open.

    ``admission``: see ``MeshSession``.
    """

    def __init__(
        self, local: LocalPeer, admission: Admit | Credential | Entrance, terms: Terms
    ) -> None:
        self.identity = ""
        self.about: dict[str, str] = {}
        self.farewell: Farewell | None = None
        self.told: tuple[int, str] | None = None
        self.member: Admitted | None = None
        self.outbox = Outbox(terms.priorities)
        # What the peer said that it can take.
        self.allowance = Allowance()
        self._terms = terms
        self._schedule = Schedule(PACKED_PART_BYTES if terms.slow else PART_BYTES)
        self.received_bytes = 0
        self.reconciles = self.large = self.reads_all = False
        # Whether both sides tell each other who is linked to whom, and the peer wants to know in
        # which state our store is.
        self.tells_peers = self.wants_state = False
        self._entrance = admission if isinstance(admission, Accepting | Calling) else None
        self.calling = self._entrance.calling if self._entrance else not callable(admission)
        self.payload_bytes = MAX_PAYLOAD_BYTES
        # What the peer lets us do; known on the calling side.
        self.granted: m.Grants = ()
        self._local = local
        self._admission = admission
        self._subscribable = self._saves = self._relays = False
        # Whether batches may be deflated, and whether ours are.
        self._inflates = self._deflates = False
        # The client id under which a peer that relays writes itself.
        self._client: int | None = None
        self._grants: m.Grants = ()
        self._message_bytes = MESSAGE_BYTES
        # What the last message held besides events of its records.
        self._also: list[Event] = []
        self._heard_of: list[bytes] = []
        self._was_compared = False
        self.state = State.NOISE if self._entrance else State.HELLO
        if self._entrance is None:
            self._greet()
        elif isinstance(self._entrance, Calling):
            self._put_bare(self._entrance.channel.call())

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

    def _batch(self, message: bytes) -> bytes:
        """The batch of a link message, opened. Raises ``PeerError``."""
        # Whom we called may grant much.
        most = MESSAGE_BYTES if self.calling else HANDSHAKE_BYTES
        if self.state is not State.OPEN and self.received_bytes > most:
            raise PeerError(Code.TOO_BIG, "too much before the link was open")
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

    def _check_state(self, record: m.Record) -> None:
        if type(record) in _ALLOWED[self.state]:
            return
        if self.state is State.NOISE:
            # Who called speaks in the open, or who was called answers in the open.
            raise PeerError(Code.UNAUTHORISED, "only members of this store are let in: pair first")
        name = type(record).__name__.upper()
        raise PeerError(Code.MALFORMED, f"{name} does not belong here")

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
        self.tells_peers = bool(both & m.FEATURE_PEERS)
        self._inflates = bool(both & m.FEATURE_DEFLATE)
        self.wants_state = bool(both & m.FEATURE_STATE)
        self._saves = bool(hello.features & m.FEATURE_SAVES)
        self._subscribable = bool(hello.features & m.FEATURE_SUBSCRIPTIONS)
        self.identity = hello.peer.hex()
        self.about = dict(hello.about)
        self.allowance = heard(self.about)
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
        role = self.member.role if self.member else ""
        self._schedule.limit(self._terms.bytes_per_second(self.allowance, role))
        self.state = State.OPEN
        if self._entrance is not None and self._entrance.membership is not None:
            self._put(m.Digest(self._entrance.membership.revocations.digest()))
        return LinkOpened()

    def _may(self, document: str, right: int) -> bool:
        return allows(self._grants, document, right)
