"""Whole devices without I/O: real hubs and mesh sessions, links that are lists of bytes."""

from collections import defaultdict, deque
from collections.abc import Sequence

from gateway.core import messages as m
from gateway.core.allowance import Allowance
from gateway.core.document import Document
from gateway.core.events import (
    Answered,
    Bring,
    Effect,
    LinkEvent,
    Load,
    MemberEvent,
    Notice,
    Offer,
    PeersHeard,
    Persist,
    Scan,
    Survey,
    UpdateReceived,
    Wake,
    WakeAll,
    Walk,
)
from gateway.core.framing import records
from gateway.core.handshake import LocalPeer
from gateway.core.hub import Hub, Quotas
from gateway.core.mesh_session import MeshSession
from gateway.core.records import Change, StoredDocument
from gateway.core.selections import Interest
from gateway.core.session import State
from tests.core.edits import Author
from tests.core.sessions import FromHub, RecordingSession

PLENTY = Quotas(1 << 40, 1 << 40, 1 << 40)
ALL = m.FEATURE_SAVES | m.FEATURE_RECONCILE | m.FEATURE_SUBSCRIPTIONS
EVERYTHING: m.Grants = (("*", 3),)


class Device:
    """A peer with a store of rows; large unless it has interests ("collection selector")."""

    def __init__(
        self,
        number: int,
        *interests: str,
        features: int = ALL,
        grants: m.Grants = EVERYTHING,
        budget: Allowance | None = None,
    ) -> None:
        self.budget = budget or Allowance()
        self.number = number
        self.features = features | (0 if interests else m.FEATURE_LARGE)
        self.grants = grants
        self.rows: defaultdict[str, list[bytes]] = defaultdict(list)
        self.authors: dict[str, Author] = {}
        self.notices: list[Notice] = []
        self.answers: list[Answered] = []
        self.interests = [Interest(*f"{text} ".split(" ", 1)) for text in interests]
        self.walks: deque[Walk] = deque()
        self.start()

    def start(self) -> None:
        """A new process over the same rows."""
        self.hub = Hub(PLENTY, {}, frozenset(), interests=self.interests, draw=self._draw)
        self.app = RecordingSession("app")
        self.hub.join(self.app)
        self.numbers = self.loads = 0
        self.walks.clear()
        self.perform(self.hub.selections.begin())

    def session(self, *, calling: bool) -> MeshSession:
        """One side of a new link."""
        about = (("client", str(self.number * 1_000 + 1)), *self.budget.told())
        local = LocalPeer(bytes([self.number]) * 16, self.features | m.FEATURE_RELAYS, about)
        admission = (m.AUTH_NONE, b"") if calling else lambda method, credential: self.grants
        session = MeshSession(local, admission, "", self.hub.now)
        self.hub.join(session)
        return session

    def set(self, document: str, key: str, value: object) -> None:
        """The app of this device changes a document."""
        author = self.authors.setdefault(document, Author(self.number * 1_000 + 1))
        for row in self.rows[document]:
            author.take(row)
        self.load(document)
        self.numbers += 1
        event = UpdateReceived(document, author.set(key, value), self.numbers, False, False)
        self.perform(self.hub.handle(self.app, event))
        self.turn()

    def read(self, document: str) -> dict[str, object]:
        """What is stored of a document."""
        reader = Author(99)
        for row in self.rows.get(document, ()):
            reader.take(row)
        return reader.read()

    def fingerprints(self) -> dict[str, bytes]:
        """Of all that is stored."""
        return {
            name: Document.load(name, b"", rows).fingerprint() for name, rows in self.rows.items()
        }

    def take(self, session: MeshSession, message: bytes) -> None:
        """A message arrived."""
        for event in session.receive(message):
            if isinstance(event, LinkEvent):
                self.perform(self.hub.link(session, event))
            elif isinstance(event, Answered):
                self.answers.append(event)
            elif isinstance(event, MemberEvent):
                self.joined(event)
            elif not isinstance(event, PeersHeard):
                self.load(event.document)
                self.perform(self.hub.handle(session, event))

    def joined(self, event: MemberEvent) -> None:
        """A session learned something about the store."""

    def turn(self) -> None:
        """Everything this device has to do by itself."""
        while self.hub.due:
            self.perform(self.hub.turn())
        while self.walks:
            self._walk(self.walks.popleft())

    def load(self, document: str) -> None:
        """Have a document in memory."""
        if self.hub.needs(document):
            self.loads += 1
            self.hub.loaded(document, StoredDocument(b"", tuple(self.rows.get(document, ()))))

    def perform(self, effects: Sequence[Effect]) -> None:
        """What the runtime does."""
        for effect in effects:
            match effect:
                case Persist():
                    for record in effect.records:
                        assert isinstance(record, Change)
                        self.rows[record.document].append(record.update)
                    self.hub.stored(effect.receipts)
                case Load():
                    self.load(effect.document)
                case Scan() | Survey() | Bring() | Offer():
                    self.walks.append(effect)
                case Notice():
                    self.notices.append(effect)
                case _:
                    assert isinstance(effect, Wake | WakeAll)

    def _walk(self, walk: Walk) -> None:
        selections = self.hub.selections
        names = {*self.rows, *self.hub.rooms}
        match walk:
            case Scan():
                for name in sorted(n for n in names if n.startswith(f"{walk.collection}/")):
                    if not (self.hub.needs(name) and selections.glance(name, walk.owner)):
                        self.load(name)
                        self.perform(selections.look(name, walk.owner))
                self.perform(selections.scanned(walk.owner, walk.collection, self.hub.now))
            case Survey():
                for name in sorted(names):
                    if not (self.hub.needs(name) and selections.noted(name)):
                        self.load(name)
                        selections.note(name)
                self.perform(selections.surveyed(self.hub.now))
            case Bring():
                for name in walk.documents:
                    self.load(name)
                    self.perform(selections.bring(walk.session, name))
            case Offer():
                for name in sorted(names):
                    self.load(name)
                    self.perform(selections.offer(walk.session, name))

    def _draw(self, count: int) -> bytes:
        return bytes(range(count))


class Wire:
    """A link between two devices; the first one called. ``bytes`` and ``said`` by record type."""

    def __init__(self, caller: Device, acceptor: Device) -> None:
        self.ends = [
            (caller, caller.session(calling=True)),
            (acceptor, acceptor.session(calling=False)),
        ]
        self.bytes: defaultdict[type[m.Record], int] = defaultdict(int)
        self.said: list[m.Record] = []

    def pump(self) -> bool:
        """Carry what both sides have to say; whether there was anything."""
        moved = False
        for (device, session), (other, theirs) in (self.ends, self.ends[::-1]):
            for message in session.data_to_send(FromHub(device.hub)):
                moved = True
                for record in records(message):
                    said = m.decode(record)
                    assert said is not None
                    self.said.append(said)
                    self.bytes[type(said)] += len(record) + 1
                if theirs.state is not State.CLOSED:
                    other.take(theirs, message)
            device.turn()
            other.turn()
        return moved

    def cut(self) -> None:
        """The link is lost."""
        for device, session in self.ends:
            device.perform(device.hub.leave(session))

    def count(self, kind: type[m.Record]) -> int:
        """How many records of a kind were said."""
        return sum(isinstance(record, kind) for record in self.said)


def settle(*wires: Wire) -> None:
    """Until nobody has anything more to say."""
    while sum(wire.pump() for wire in wires):
        pass
