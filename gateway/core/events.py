"""What a session says happened, and what the hub wants done: frozen values.

Events are nouns with a past participle, effects are verbs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.core.guard import UpdateFacts

if TYPE_CHECKING:
    from gateway.core.entrance import Device
    from gateway.core.membership import Membership
    from gateway.core.messages import PeerEntry
    from gateway.core.records import Change, Refusal
    from gateway.core.selector import Selector
    from gateway.core.session import Session


@dataclass(frozen=True, slots=True)
class DocumentEntered:
    """A peer that speaks about one document only came in; it has not said what it has."""

    document: str


@dataclass(frozen=True, slots=True)
class DocumentOpened:
    """A peer wants a document and told what it has of it."""

    document: str
    state_vector: bytes


@dataclass(frozen=True, slots=True)
class UpdateReceived:
    """A peer sent an update, its ``number``-th of the session; not yet inspected.

    ``answer``: it answers what we asked for; ``more``: further parts of it follow.
    """

    document: str
    update: bytes
    number: int
    answer: bool
    more: bool


@dataclass(frozen=True, slots=True)
class PresenceReceived:
    """A peer sent an awareness update."""

    document: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class PresenceAsked:
    """A peer wants to know who is here."""

    document: str


@dataclass(frozen=True, slots=True)
class DocumentReleased:
    """A peer has no more interest in a document on this link."""

    document: str


@dataclass(frozen=True, slots=True)
class ChangesDropped:
    """A peer dropped changes it had queued for us; we have to ask for them."""

    document: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A peer wants the documents of a collection that match, now and later.

    A subscription of the same number is replaced.
    """

    number: int
    collection: str
    selector: Selector


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """A peer ends a subscription."""

    number: int


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """Both sides let each other in."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A peer sent its turn of an exchange about one of its subscriptions, or of ``ours``."""

    number: int
    ours: bool
    payload: bytes


DocumentEvent = (
    DocumentEntered
    | DocumentOpened
    | UpdateReceived
    | PresenceReceived
    | PresenceAsked
    | DocumentReleased
    | ChangesDropped
)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A peer has on its disk all that we sent of these documents."""

    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Declined:
    """A peer did not take an update of a document, or the document, or a collection, at all."""

    document: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class DevicePaired:
    """A device was given a ticket."""

    device: Device


@dataclass(frozen=True, slots=True)
class MembershipGained:
    """We were given a ticket."""

    membership: Membership


@dataclass(frozen=True, slots=True)
class RevocationsHeard:
    """A peer told of revocations that were not known here."""

    entries: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class PeersHeard:
    """A peer told of its links, or of another's."""

    entries: tuple[PeerEntry, ...]


Answered = Delivered | Declined
LinkEvent = LinkOpened | Subscribed | Unsubscribed | Compared
MemberEvent = DevicePaired | MembershipGained | RevocationsHeard
Event = DocumentEvent | LinkEvent | Answered | MemberEvent | PeersHeard


@dataclass(frozen=True, slots=True)
class Receipt:
    """Whom to tell once what came before is on the disk."""

    session: Session
    number: int


@dataclass(frozen=True, slots=True)
class Persist:
    """Write the records in one transaction, then hand the receipts to the hub."""

    records: tuple[Change | Refusal, ...]
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """Read a document from the store and hand it to the hub."""

    document: str


@dataclass(frozen=True, slots=True)
class Compact:
    """Replace what the store holds of a document by a snapshot and what follows it."""

    document: str
    snapshot: bytes
    keep: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Wake:
    """A session has something to send, or ended."""

    session: Session


@dataclass(frozen=True, slots=True)
class WakeAll:
    """These sessions have something to send: what a turn passes on, all of it at once."""

    sessions: Collection[Session]


@dataclass(frozen=True, slots=True)
class Scan:
    """Look through a collection for what was subscribed to: ``look``, then ``scanned``.

    ``owner``: a session, or None for our own subscriptions.
    """

    owner: Session | None
    collection: str


@dataclass(frozen=True, slots=True)
class Survey:
    """Take every stored document into the inventory: ``note``, then ``surveyed``."""


@dataclass(frozen=True, slots=True)
class Bring:
    """Open these documents to a session: ``bring``."""

    session: Session
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """Open to a session every stored document that no exchange will be about: ``offer``."""

    session: Session


Walk = Scan | Survey | Bring | Offer


@dataclass(frozen=True, slots=True)
class Notice:
    """A document of our own subscriptions is there, or changed; or it does not match any more."""

    document: str
    matches: bool


Effect = Persist | Load | Compact | Wake | WakeAll | Walk | Notice


@dataclass(frozen=True, slots=True)
class Incoming:
    """An inspected update waiting to be applied in this turn."""

    session: Session
    update: bytes
    facts: UpdateFacts
    number: int
    answer: bool
