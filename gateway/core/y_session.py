"""A session of the plain y-websocket endpoint: one document, no acks.

docs/protocol.md section 7. The stock client drops a socket that was silent for 30 s,
so an idle session is sent an empty awareness update.
"""

from collections.abc import Iterable, Sequence

from gateway.core import y_messages
from gateway.core.allowance import Allowance
from gateway.core.errors import Code, PeerError
from gateway.core.events import (
    DocumentEntered,
    DocumentOpened,
    Event,
    PresenceAsked,
    PresenceReceived,
    UpdateReceived,
)
from gateway.core.framing import MESSAGE_BYTES
from gateway.core.membership import Admitted, allows
from gateway.core.outbox import Documents, Outbox, Relay
from gateway.core.session import Farewell, Progress, Standing, State
from gateway.core.tickets import READ, WRITE

# The stock client gives up after 30 s of silence.
KEEP_ALIVE_SECONDS = 20.0
# An answer cannot be sent in parts here.
NO_LIMIT = 2**53
_SIGN_OF_LIFE = y_messages.presence(y_messages.awareness_payload(()))


class YSession:
    """One stock client in one document. Satisfies ``Session``."""

    kind = "y-websocket"
    reconciles = large = calling = False
    reads_all = True
    allowance = Allowance()
    payload_bytes = 0

    def __init__(
        self, document: str, address: str, now: float, member: Admitted | None = None
    ) -> None:
        """``member`` is who the token names; without one everybody may do everything.

        Raises ``PeerError`` FORBIDDEN if the document may not be read.
        """
        if member is not None and not allows(member.grants, document, READ):
            raise PeerError(Code.FORBIDDEN, "no right to read this document")
        self.document = document
        self.identity = member.peer.hex() if member else address.rpartition(":")[0] or address
        self.address = address
        self.started = now
        self.about: dict[str, str] = {}
        self.state = State.OPEN
        self.farewell: Farewell | None = None
        self.told: tuple[int, str] | None = None
        self.member = member
        self.outbox = Outbox()
        self.received_bytes = 0
        self.sent_bytes = 0
        self.unsaved = 0
        self._received = 0
        self._asked = False
        self._sent_at = now
        self._sent_before = 0

    def first_events(self) -> Sequence[Event]:
        """See ``Session``."""
        return (DocumentEntered(self.document),)

    def receive(self, data: bytes) -> Sequence[Event]:
        """See ``Session``."""
        if self.state is State.CLOSED:
            return ()
        self.received_bytes += len(data)
        try:
            if len(data) > MESSAGE_BYTES:
                raise PeerError(Code.TOO_BIG, f"a message above {MESSAGE_BYTES} bytes")
            message = y_messages.decode(data)
        except PeerError as error:
            self.close(error.code, error.reason)
            return ()
        match message:
            case y_messages.Change():
                return (self._update_received(message),)
            case y_messages.Step1():
                return (DocumentOpened(self.document, message.state_vector),)
            case y_messages.Presence():
                return (PresenceReceived(self.document, message.payload),)
            case y_messages.PresenceQuery():
                return (PresenceAsked(self.document),)
            case _:
                return ()

    def data_to_send(self, documents: Documents) -> list[bytes]:
        """See ``Session``."""
        outbox = self.outbox
        frames, outbox.records = outbox.records, []
        if (diff := outbox.take_diff(documents, NO_LIMIT)) is not None:
            frames.append(y_messages.step_2(diff.update))
        for _, relay in outbox.take_relays():
            frames.append(relay.y_frame)
        for _, payload in outbox.take_presence(documents):
            frames.append(y_messages.presence(payload))
        for frame in frames:
            self.sent_bytes += len(frame)
        return frames

    def may_write(self, document: str) -> bool:
        """See ``Session``."""
        return self.member is None or allows(self.member.grants, document, WRITE)

    def may_read(self, document: str) -> bool:
        """See ``Session``."""
        return True

    def writes_as(self, client: int) -> bool:
        """See ``Session``. A stock client may hand on what other providers of its app brought."""
        return False

    def subscribe(self, number: int, collection: str, selector: str) -> None:
        """See ``Session``. There are no subscriptions here."""

    def reconcile(self, number: int, *, ours: bool, payload: bytes) -> None:
        """See ``Session``. There are no exchanges here."""

    def ask(self, document: str, state_vector: bytes) -> None:
        """See ``Session``."""
        if not self._asked and self.state is State.OPEN:
            self._asked = True
            self.outbox.records.append(y_messages.step_1(state_vector))

    def awaits(self, document: str) -> bool:
        """See ``Session``."""
        return self._asked

    def offer(self, document: str, relay: Relay) -> None:
        """See ``Session``. There is no way to say "stale" here, so the link is closed."""
        if self.state is State.OPEN:
            self.outbox.offer(document, relay)
            if self.outbox.stale:
                self.close(Code.RESET, "this link was too slow; connect again")

    def offer_presence(self, document: str, clients: Iterable[int] | None) -> None:
        """See ``Session``."""
        if self.state is State.OPEN:
            self.outbox.owe_presence(document, clients)

    def echo_presence(self, document: str, clients: Iterable[int]) -> None:
        """See ``Session``."""
        self.offer_presence(document, clients)

    def finish(self, document: str) -> None:
        """See ``Session``. There are no subscriptions here."""

    def released(self, document: str) -> None:
        """See ``Session``. The link is for this document only."""

    def acknowledge(self, number: int) -> None:
        """See ``Session``. The stock client has no place for acks."""
        self.unsaved -= 1

    def refuse(self, document: str, number: int, code: Code, reason: str) -> None:
        """See ``Session``. A refusal can only be told by closing."""
        self.close(code, reason)

    def deny(self, document: str, code: Code, reason: str) -> None:
        """See ``Session``. The link is for this document only."""
        self.close(code, reason)

    def revoked(self, entries: Iterable[bytes]) -> None:
        """See ``Session``. There is no place for them here."""

    def progress(self, document: str) -> Progress:
        """See ``Session``. The stock client acknowledges nothing."""
        return Progress(Standing.WAITS if self.outbox.holds(document) else Standing.TOLD)

    def tick(self, now: float) -> bool:
        """See ``Session``."""
        if self.sent_bytes != self._sent_before:
            self._sent_before, self._sent_at = self.sent_bytes, now
        if self.state is State.OPEN and now - self._sent_at >= KEEP_ALIVE_SECONDS:
            self._sent_at = now
            self.outbox.records.append(_SIGN_OF_LIFE)
            return True
        return False

    def close(self, code: Code, reason: str) -> None:
        """See ``Session``."""
        if self.state is not State.CLOSED:
            self.state = State.CLOSED
            self.farewell = Farewell(code, reason)
            self.outbox.clear()

    def _update_received(self, message: y_messages.Change) -> UpdateReceived:
        self._received += 1
        self.unsaved += 1
        if message.answer:
            self._asked = False
        return UpdateReceived(
            self.document, message.update, self._received, answer=message.answer, more=False
        )
