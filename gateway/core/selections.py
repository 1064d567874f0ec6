"""Who is to have which documents: subscriptions, exchanges, and what large peers are owed.

A peer is sent a document it opened itself, one that matches a subscription of its own, and,
when it is large (holds everything), every document that changes. Each is *brought*: opened
to it. With a peer that compares fingerprints nothing is brought at the beginning but what
differs; from then on what changes is.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from gateway.core.document import Document
from gateway.core.document_budgets import DocumentBudgets
from gateway.core.errors import Code
from gateway.core.events import (
    Bring,
    Compared,
    Effect,
    Load,
    Notice,
    Offer,
    Scan,
    Subscribed,
    Survey,
    Unsubscribed,
    Wake,
)
from gateway.core.exchanges import Differing, Exchanges, Key
from gateway.core.inventory import Inventory
from gateway.core.meter import Meter
from gateway.core.names import collection_of
from gateway.core.reconcile import Catalogue
from gateway.core.remembered import Remembered
from gateway.core.room import Room
from gateway.core.selector import Selector
from gateway.core.session import Session, State
from gateway.core.subscription import Key as SubscriptionKey
from gateway.core.subscription import Owner, Subscriptions

# Whether a document above this matches a subscription is looked at once a tick, not at
# every change of it: it takes milliseconds. So many a tick.
LATE_BYTES = 131_072
LATE_A_TICK = 8
# So many documents stay open to a large peer because they were brought; then the oldest is closed
# again, and brought once more when it changes. Well below what a peer takes (MAX_DOCUMENTS).
MOST_BROUGHT = 4_096
# Documents brought to any peer, as many as it may open itself.
MAX_BROUGHT = 20_000
# A peer that was brought so many without an answer is brought more slowly.
UNANSWERED = 256
# A peer whose selectors take longer than its share leaves so many questions open at most.
MAX_BEHIND = 1_000
# What its share does not pay for: to make the fields of a document above this, per byte.
LARGE_FIELDS_BYTES = 8_192
STEPS_A_BYTE = 0.5
# What live changes missed, should anything ever be, is found by the next exchange.
EXCHANGE_SECONDS = 300.0

EVERYTHING = 0


@dataclass(frozen=True, slots=True)
class Interest:
    """A subscription of this device: small peers have some, large ones want everything."""

    collection: str
    selector: str


class Rooms(Protocol):
    """What selections need of the hub."""

    rooms: dict[str, Room]

    def needs(self, document: str) -> bool:
        """Whether a document is not in memory."""

    @property
    def full(self) -> bool:
        """Whether there is room for no more documents but those of who has few."""

    def let_go(self, session: Session, room: Room) -> list[Effect]:
        """Send what is queued and owed of a document, then close it to the session."""


class Selections:
    """``draw(count)`` gives random bytes."""

    def __init__(
        self, hub: Rooms, interests: Sequence[Interest], draw: Callable[[int], bytes]
    ) -> None:
        self._meter = Meter()
        self.subscriptions = Subscriptions(self._meter)
        self._hub = hub
        self._interests = interests
        for number, interest in enumerate(interests, 1):
            selector = Selector(interest.selector)
            self.subscriptions.add(None, number, interest.collection, selector)
        self._inventory = Inventory(self._document)
        self._exchanges = Exchanges(self._catalogue, draw)
        # Collections that were looked through, for whom.
        self._scanned: set[tuple[Owner, str]] = set()
        self._large: dict[Session, None] = {}
        # Documents a session is in only because we brought them, the oldest first.
        self._brought: defaultdict[Session, dict[str, None]] = defaultdict(dict)
        # Those of them that it has not opened: nothing is kept for it in the document.
        self._unopened: defaultdict[Session, set[str]] = defaultdict(set)
        self._late: dict[str, None] = {}
        # Documents that left the memory before they were looked at.
        self._missed: set[str] = set()
        self._remembered = Remembered()
        self._budgets = DocumentBudgets()
        # When we compare again; with whom, and about which of our subscriptions.
        self._again: dict[Session, float] = {}

    def begin(self) -> list[Effect]:
        """Find out what we hold of our own subscriptions."""
        return [Scan(None, collection) for collection in self._own_collections()]

    def opened(self, session: Session, now: float) -> list[Effect]:
        """A link is open: ask for what we want, offer what we have."""
        effects: list[Effect] = [Wake(session)]
        if session.large:
            self._large[session] = None
        for number, interest in enumerate(self._interests, 1):
            session.subscribe(number, interest.collection, interest.selector)
        if self._interests or not session.reconciles:
            effects += [Offer(session)] if session.large else []
        elif session.large and session.calling and not self._inventory.whole:
            effects.append(Survey())
        return effects + self._compare(session, now)

    def subscribe(self, session: Session, event: Subscribed | Unsubscribed) -> list[Effect]:
        """A peer's standing request begins, changes or ends."""
        if session.state is State.CLOSED:
            return []
        number = event.number
        self._budgets.forget(session)
        collections = {self.subscriptions.remove(session, number)}
        self._exchanges.forget(session, number)
        if isinstance(event, Subscribed):
            self.subscriptions.add(session, number, event.collection, event.selector)
            collections.add(event.collection)
        # What does not match any more is let go, what matches now is brought or compared.
        scans = [Scan(session, collection) for collection in sorted(collections - {""})]
        self._scanned.difference_update((scan.owner, scan.collection) for scan in scans)
        return list(scans)

    def compared(self, session: Session, event: Compared, now: float) -> list[Effect]:
        """A turn of an exchange. Raises ``PeerError``."""
        owner = None if event.ours else session
        everything = event.number == EVERYTHING
        if not everything and not self.subscriptions.collection(owner, event.number):
            return []
        key = (session, event.number, event.ours)
        effects = _bringing(self._exchanges.receive(key, event.payload, now))
        if everything and not self._inventory.whole:
            effects.append(Survey())
        return effects

    def leave(self, session: Session) -> None:
        """A link is gone."""
        self.subscriptions.leave(session)
        self._budgets.leave(session)
        self._exchanges.leave(session)
        self._brought.pop(session, None)
        self._unopened.pop(session, None)
        self._large.pop(session, None)
        self._again.pop(session, None)
        self._scanned = {done for done in self._scanned if done[0] is not session}

    def look(self, document: str, owner: Owner) -> list[Effect]:
        """Whether a document, which is in memory, matches what one owner subscribed to."""
        return self._judge(document, (owner,), beginning=True)

    def entered(self, session: Session, document: str) -> bool:
        """A session takes part in a document; whether it was brought it, and so asked for it."""
        unopened = self._unopened.get(session, set())
        brought = document in unopened
        unopened.discard(document)
        return brought

    def answers(self, session: Session) -> bool:
        """Whether a peer answers what it is brought."""
        return len(self._unopened.get(session, ())) < UNANSWERED

    def settled(self, session: Session) -> bool:
        """Whether it is known of every document whether a peer wants and lacks it; walks apart."""
        if self._late or self._missed or self.subscriptions.is_behind(session):
            return False
        numbers = self.subscriptions.numbers(session) if session.reconciles else ()
        return all(self._exchanges.compared(session, number) for number in numbers)

    def affords(self, owner: Owner) -> bool:
        """Whether more may be looked at for an owner before the next tick."""
        return self._meter.allows(owner)

    def glance(self, document: str, owner: Owner) -> bool:
        """Whether ``look`` has nothing to do but to note what matches; if so, it is done.

        For a document that is not in memory, so that it need not be read.
        """
        names = self.subscriptions.fields(collection_of(document), (owner,))
        fields = self._remembered.fields(document, names)
        if fields is None or self.subscriptions.wants(owner, document):
            return False
        if not self.subscriptions.would_want(owner, document, fields):
            return True
        if owner is None or not owner.reconciles or document not in self._inventory:
            return False
        self.subscriptions.judge(document, fields, (owner,))
        self._budgets.matches(owner, document)
        return True

    def scanned(self, owner: Owner, collection: str, now: float) -> list[Effect]:
        """A collection was looked through."""
        self._scanned.add((owner, collection))
        return _bringing(self._exchanges.resume(now))

    def noted(self, document: str) -> bool:
        """Whether a document is in the inventory."""
        return document in self._inventory

    def note(self, document: str) -> None:
        """Take a document, which is in memory, into the inventory."""
        self._inventory.note(document)

    def surveyed(self, now: float) -> list[Effect]:
        """Every stored document was noted."""
        self._inventory.whole = True
        return _bringing(self._exchanges.resume(now))

    def catalogue(self) -> Catalogue | None:
        """All that this device holds, as it is now; it goes on changing. None: it has to be
        surveyed first."""
        return self._inventory.everything() if self._inventory.whole else None

    def bring(self, session: Session, document: str) -> list[Effect]:
        """A document, which is in memory, differs: open it, or ask for it again."""
        room = self._hub.rooms[document]
        assert room.document is not None
        if room.members.get(session):
            room.ask(session)
            return [Wake(session)]
        # What it has that we lack we take only if we want everything.
        return self._bring(session, room) if room.document.clocks or not self._interests else []

    def offer(self, session: Session, document: str) -> list[Effect]:
        """Bring a document, which is in memory, unless an exchange is about it anyway."""
        if session.reconciles and self.subscriptions.wants(None, document):
            return []
        return self._bring(session, self._hub.rooms[document])

    def changed(self, documents: Iterable[str]) -> list[Effect]:
        """These documents changed: look who wants them now."""
        effects: list[Effect] = []
        for name in documents:
            self._inventory.changed(name)
            self._remembered.forget(name)
            if self._hub.needs(name) or self._hub.rooms[name].stored_bytes > LATE_BYTES:
                self._late[name] = None
            else:
                effects += self._consider(name)
        return effects

    def answered(self, session: Session, document: str) -> list[Effect]:
        """A peer that opened a document gave us what we lacked of it.

        One that it was brought and does not want is closed.
        """
        brought = document in self._brought.get(session, ())
        if not brought or self.wants(session, document) or session.awaits(document):
            return []
        room = self._hub.rooms[document]
        # What it told may be what makes it match.
        if room.due or not room.members.get(session):
            return []
        return self._let_go(session, document)

    def released(self, session: Session, document: str) -> None:
        """A peer has no more interest in a document."""
        self._brought[session].pop(document, None)
        self.entered(session, document)

    def loaded(self, document: str) -> None:
        """A document is in memory."""
        if document in self._missed:
            self._missed.discard(document)
            self._late[document] = None

    def dropped(self, document: str) -> None:
        """A document is about to leave the memory."""
        self._inventory.settle(document)

    def forgotten(self, document: str) -> None:
        """This device does not keep a document any more."""
        self._inventory.remove(document)
        self._remembered.forget(document)
        self._late.pop(document, None)
        self._missed.discard(document)

    def unwanted(self, document: str) -> bool:
        """Whether it is known that no subscription of this device holds a document, and nobody
        was brought it without having answered."""
        collection = collection_of(document)
        subscribed = collection in self._own_collections()
        looked_at = not subscribed or (None, collection) in self._scanned
        waits = document in self._late or document in self._missed
        if not self._interests or not looked_at or waits:
            return False
        unopened = any(document in names for names in self._unopened.values())
        return not unopened and not self.subscriptions.wants(None, document)

    def tick(self, now: float) -> list[Effect]:
        """Look at large documents that changed; compare with who it is time for."""
        self._meter.renew()
        effects = self._catch_up()
        for name in list(islice(self._late, LATE_A_TICK)):
            del self._late[name]
            if self._hub.needs(name):
                self._missed.add(name)
                effects.append(Load(name))
            else:
                effects += self._consider(name)
        for session in [session for session, due in self._again.items() if now >= due]:
            effects += self._compare(session, now)
        return effects

    def _consider(self, document: str) -> list[Effect]:
        room = self._hub.rooms[document]
        effects: list[Effect] = []
        for session in self._large:
            effects += self._bring(session, room, live=True)
        if collection_of(document) in self.subscriptions:
            effects += self._judge(document)
        return effects

    def _catch_up(self) -> list[Effect]:
        """Ask subscriptions what they were not asked when documents changed."""
        effects = self._overloaded()
        for key in self.subscriptions.behind():
            name = self.subscriptions.next_behind(key)
            while name and self._meter.allows(key[0]):
                if self._hub.needs(name):
                    self.subscriptions.skip(key, name)
                    self._missed.add(name)
                    effects.append(Load(name))
                else:
                    effects += self._judge(name, (key[0],), late=key)
                name = self.subscriptions.next_behind(key)
        return effects

    def _judge(
        self,
        document: str,
        only: Collection[Owner] = (),
        *,
        beginning: bool = False,
        late: SubscriptionKey | None = None,
    ) -> list[Effect]:
        room = self._hub.rooms[document]
        assert room.document is not None
        names = self.subscriptions.fields(collection_of(document), only)
        fields = room.document.plain_fields(names)
        large = fields is None and room.stored_bytes > LARGE_FIELDS_BYTES
        if fields is None:
            fields = room.document.all_fields()
        self._remembered.note(document, names, fields)
        before, now = self.subscriptions.judge(document, fields, only, late)
        # Only now, or a document that takes more than a share would never be asked about.
        for owner in only if large else ():
            self._meter.take(owner, round(STEPS_A_BYTE * room.stored_bytes))
        effects: list[Effect] = []
        for owner in now:
            if owner is None or owner.reconciles:
                self._inventory.note(document)
            if owner is not None:
                self._budgets.matches(owner, document)
            # At the beginning an exchange finds what differs.
            if owner is not None and not (beginning and owner.reconciles):
                effects += self._bring(owner, room, live=not beginning)
        for owner in before - now:
            # It has to learn what made the document leave.
            if owner is not None:
                effects += self._bring(owner, room, live=not beginning)
                self._budgets.left(owner, document)
        for session in only or list(room.members):
            effects += [] if session is None else self.answered(session, document)
        if None in before | now:
            effects.append(Notice(document, matches=None in now))
        return effects

    def _overloaded(self) -> list[Effect]:
        """End the links of peers whose selectors take far more than their share."""
        effects: list[Effect] = []
        for owner in self.subscriptions.far_behind(MAX_BEHIND):
            owner.close(Code.TOO_MANY, "subscriptions that take too long to look through")
            effects.append(Wake(owner))
        return effects

    def _bring(self, session: Session, room: Room, *, live: bool = False) -> list[Effect]:
        """Open a document to a peer; it takes part in it once it opens it too.

        ``live``: because it changed.
        """
        assert room.document is not None
        welcome = session.state is State.OPEN and session.may_read(room.name)
        brought = self._brought[session] if welcome else {}
        if not welcome or self._hub.full or room.name in brought or session in room.members:
            return []
        if self._budgets.refuses(session, room.name):
            # What it was told.
            return [Wake(session)]
        if len(brought) >= MAX_BROUGHT:
            session.close(Code.TOO_MANY, f"subscriptions to more than {MAX_BROUGHT} documents")
            return [Wake(session)]
        brought[room.name] = None
        self._unopened[session].add(room.name)
        if live:
            session.outbox.hurry(room.name)
        room.ask(session)
        effects: list[Effect] = [Wake(session)]
        if session.large and len(brought) > MOST_BROUGHT:
            oldest = next(iter(brought))
            if oldest not in self._unopened[session] and not session.awaits(oldest):
                effects += self._let_go(session, oldest)
            else:
                brought[oldest] = brought.pop(oldest)
        return effects

    def _let_go(self, session: Session, document: str) -> list[Effect]:
        del self._brought[session][document]
        return self._hub.let_go(session, self._hub.rooms[document])

    def wants(self, session: Session, document: str) -> bool:
        """Whether a peer is to have a document."""
        return session.large or self.subscriptions.wants(session, document)

    def _compare(self, session: Session, now: float) -> list[Effect]:
        if not session.reconciles:
            return []
        numbers = list(range(1, len(self._interests) + 1))
        if not numbers and session.large and session.calling:
            numbers = [EVERYTHING]
        if numbers:
            self._again[session] = now + EXCHANGE_SECONDS
        differing: Differing = []
        for number in numbers:
            differing += self._exchanges.begin(session, number, now)
        return [Wake(session), *_bringing(differing)]

    def _catalogue(self, key: Key) -> Catalogue | None:
        """What an exchange is about; None while that is not known."""
        session, number, ours = key
        if number == EVERYTHING:
            return self._readable(session) if self._inventory.whole else None
        owner = None if ours else session
        collection = self.subscriptions.collection(owner, number)
        if (owner, collection) not in self._scanned:
            return None
        return self._inventory.part(self.subscriptions.matched(owner, number))

    def _readable(self, session: Session) -> Catalogue:
        everything = self._inventory.everything()
        if session.reads_all:
            return everything
        names = [name.decode() for name in everything.names(0, len(everything))]
        return everything.part(filter(session.may_read, names))

    def _document(self, name: str) -> Document | None:
        room = self._hub.rooms.get(name)
        return None if room is None else room.document

    def _own_collections(self) -> list[str]:
        return sorted({interest.collection for interest in self._interests})


def _bringing(differing: Differing) -> list[Effect]:
    effects: list[Effect] = []
    for session, documents in differing:
        effects += [Wake(session), *([Bring(session, documents)] if documents else [])]
    return effects
