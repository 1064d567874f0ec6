"""What the hub and the runtime need of a session, whatever it speaks on the wire.

A session is the protocol state of one peer over one link: it turns bytes into events
and answers into bytes, never raises on the peer's mistakes, and is used once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from gateway.core.allowance import Allowance
from gateway.core.errors import Code
from gateway.core.events import Event
from gateway.core.membership import Admitted
from gateway.core.outbox import Documents, Outbox, Relay


class State(Enum):
    """Where a session is; what a state does not allow closes it."""

    NOISE = auto()
    HELLO = auto()
    AUTH = auto()
    OPEN = auto()
    CLOSED = auto()


class Standing(Enum):
    """What a peer has of a document that is open to it; the value is for scripts."""

    # It is on its disk; it was sent, and there will be no ack; or there is none yet.
    HAS = "has"
    TOLD = "told"
    SENT = "sent"
    # Something of it waits for the link; it did not take something.
    WAITS = "waits"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a peer is with a document: updates it has not acknowledged, and since when."""

    standing: Standing
    updates: int = 0
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Farewell:
    """Why a session is closed, as told to the peer."""

    code: Code
    reason: str


class Session(Protocol):
    """One peer over one link."""

    kind: str
    identity: str
    address: str
    started: float
    about: dict[str, str]
    state: State
    farewell: Farewell | None
    # What the peer said when it closed: code and sentence.
    told: tuple[int, str] | None
    # Who of the store it is; None where everybody is let in.
    member: Admitted | None
    outbox: Outbox
    received_bytes: int
    sent_bytes: int
    unsaved: int
    # What the peer is and can: it compares fingerprints, and holds everything it may read.
    reconciles: bool
    large: bool
    # Whether the connection is ours, and whether the peer may read all collections.
    calling: bool
    reads_all: bool
    # The budgets that the peer told.
    allowance: Allowance
    # The largest payload of an exchange that the peer takes.
    payload_bytes: int

    def first_events(self) -> Sequence[Event]:
        """What the link itself says before any message, such as the document in its path."""

    def receive(self, data: bytes) -> Sequence[Event]:
        """Events in one link message. The peer's mistakes close the session instead."""

    def data_to_send(self, documents: Documents) -> list[bytes]:
        """Link messages to send now, not much at a time; empty when done or over its budget."""

    def may_write(self, document: str) -> bool:
        """Whether the peer may change the document."""

    def may_read(self, document: str) -> bool:
        """Whether the peer may have the document."""

    def writes_as(self, client: int) -> bool:
        """Whether a live change under this Yjs client id is the peer's own, not passed on."""

    def subscribe(self, number: int, collection: str, selector: str) -> None:
        """Ask the peer for the documents of a collection that match, now and later."""

    def reconcile(self, number: int, *, ours: bool, payload: bytes) -> None:
        """Send our turn of an exchange about one of the peer's subscriptions, or of ours."""

    def ask(self, document: str, state_vector: bytes) -> None:
        """Ask the peer for what we lack, unless an answer is still outstanding."""

    def awaits(self, document: str) -> bool:
        """Whether the peer still owes us an answer about a document."""

    def offer(self, document: str, relay: Relay) -> None:
        """Pass a live update on, now or merged later."""

    def offer_presence(self, document: str, clients: Iterable[int] | None) -> None:
        """Pass on the awareness of these clients, or of everybody who is here."""

    def echo_presence(self, document: str, clients: Iterable[int]) -> None:
        """Send awareness back where the dialect takes it as a sign of life."""

    def finish(self, document: str) -> None:
        """A document left what the peer subscribed to: send what is queued of it, then stop."""

    def released(self, document: str) -> None:
        """The peer has no more interest in a document, and is sent nothing about it."""

    def acknowledge(self, number: int) -> None:
        """The peer's update ``number`` is on the disk or was refused."""

    def refuse(self, document: str, number: int, code: Code, reason: str) -> None:
        """One update was not taken."""

    def deny(self, document: str, code: Code, reason: str) -> None:
        """A document cannot be had."""

    def revoked(self, entries: Iterable[bytes]) -> None:
        """Pass revocations on to a member of the store."""

    def __hash__(self) -> int:
        """Sessions are told apart by identity."""

    def progress(self, document: str) -> Progress:
        """How far the peer is with a document that is open to it."""

    def tick(self, now: float) -> bool:
        """Keep the link alive or give it up; whether there is something to send."""

    def close(self, code: Code, reason: str) -> None:
        """Say goodbye and end; the first call counts."""
