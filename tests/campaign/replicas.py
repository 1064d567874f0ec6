"""Devices of the campaign: real Yjs documents behind a mesh or a plain y-websocket link."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from pycrdt import Doc, Subscription

from gateway.core import messages as m
from gateway.core import y_messages as y
from gateway.core.facts import Span
from gateway.core.fingerprint import read_state_vector
from gateway.core.framing import batches, frame, records
from gateway.core.guard import inspect_update
from tests.campaign.links import Link
from tests.support.raw import Closed

MESSAGE_BYTES = 262_144
MAX_PIECE_BYTES = 200_000


class Replica:
    """Holds all documents; ``fresh()`` gives a Yjs client id that was never used."""

    def __init__(self, number: int, documents: Sequence[str], fresh: Callable[[], int]) -> None:
        self.number = number
        self.docs: dict[str, Doc] = {}
        self.presence_heard = 0
        # What of each document the gateway said is on its disk.
        self.acked: defaultdict[str, set[Span]] = defaultdict(set)
        self.bytes = [0, 0]
        self._applying = False
        self._observers: dict[str, Subscription] = {}
        self._edits: list[tuple[str, bytes]] = []
        self._shown = 0
        self._fresh = fresh
        self._saved: dict[str, bytes] = dict.fromkeys(documents, b"\x00\x00")
        self.restart()

    @property
    def linked(self) -> bool:
        """Whether there is a link."""
        raise NotImplementedError

    def restart(self) -> None:
        """A new process over what was kept: everything, but a fresh client id (invariant 8)."""
        self.drop()
        for name, doc in self.docs.items():
            self._saved[name] = doc.get_update()
            # A document with an observer is kept for ever.
            doc.unobserve(self._observers.pop(name))
        for name, saved in self._saved.items():
            doc = self.docs[name] = Doc(client_id=self._fresh())
            doc.apply_update(saved)
            self._observers[name] = doc.observe(
                lambda event, name=name: self._changed(name, event.update)
            )
        self._edits.clear()

    def flush(self) -> None:
        """Send what was edited here; without a link it waits for the next one."""
        edits, self._edits = self._edits, []
        for name, update in edits:
            self._send(name, update)

    def connect(self, port: int) -> None:
        """Link up and tell what is here."""
        raise NotImplementedError

    def pump(self) -> None:
        """Take what came; a link that is gone is dropped."""
        try:
            self._pump()
        except Closed as closed:
            self.drop()
            if closed.code not in (1001, 1005, 1006, 4205):
                raise AssertionError(f"peer {self.number} was closed: {closed}") from closed

    def drop(self, *, in_a_message: bool = False) -> None:
        """Lose all links."""
        raise NotImplementedError

    def show(self, text: str) -> None:
        """Tell the others where we are (awareness)."""
        raise NotImplementedError

    def _pump(self) -> None:
        raise NotImplementedError

    def _send(self, name: str, update: bytes) -> None:
        raise NotImplementedError

    def _changed(self, name: str, update: bytes) -> None:
        # The library is in the middle of its transaction: nothing may be asked of it here.
        if not self._applying:
            self._edits.append((name, update))

    def _apply(self, name: str, update: bytes) -> None:
        self._applying = True
        try:
            self.docs[name].apply_update(update)
        finally:
            self._applying = False

    def _count(self, link: Link) -> None:
        self.bytes[0] += link.sent_bytes
        self.bytes[1] += link.received_bytes


class MeshReplica(Replica):
    """All documents over one link; ``subscribe`` changes what it is brought."""

    def __init__(self, number: int, documents: Sequence[str], fresh: Callable[[], int]) -> None:
        self._link: Link | None = None
        self.subscriptions: dict[int, tuple[str, str]] = {}
        self.brought = 0
        super().__init__(number, documents, fresh)

    @property
    def linked(self) -> bool:
        """See ``Replica``."""
        return self._link is not None

    def connect(self, port: int) -> None:
        """See ``Replica``."""
        self._theirs: dict[int, str] = {}
        self._ours: dict[str, int] = {}
        # Documents we sent CLOSE for; the gateway's own is still to come.
        self._closing: set[str] = set()
        # Documents we do not want of ourselves; who wants one opens it again after a CLOSE.
        self._unwanted: set[str] = set()
        self._sent: dict[int, tuple[str, tuple[Span, ...]]] = {}
        self._number = self._heard = 0
        try:
            self._link = Link(port, "/mesh")
            peer = bytes([self.number]) * 16
            self._say(m.Hello(1, 1, peer, m.FEATURE_SUBSCRIPTIONS, MESSAGE_BYTES))
            self._say(m.Auth(m.AUTH_NONE, b""))
            opens = [self._open(name) for name in self.docs]
            self._say(*(m.Subscribe(n, *one) for n, one in self.subscriptions.items()), *opens)
        except Closed:
            self.drop()

    def subscribe(self, number: int, collection: str, selector: str) -> None:
        """Begin a subscription, or change it in place."""
        self.subscriptions[number] = (collection, selector)
        if self._link is not None:
            self._try(m.Subscribe(number, collection, selector))

    def unsubscribe(self, number: int) -> None:
        """End a subscription."""
        if self.subscriptions.pop(number, None) and self._link is not None:
            self._try(m.Unsubscribe(number))

    def release(self, name: str) -> None:
        """Close a document on this link; what a subscription wants is opened again."""
        if self._link is not None and name in self._ours:
            self._unwanted.add(name)
            self._try(self._close(name))

    def reopen(self, name: str) -> None:
        """Open a document that was closed, and again should the gateway close it."""
        if self._link is None:
            return
        self._unwanted.discard(name)
        if name not in self._ours:
            self._try(self._open(name))

    def drop(self, *, in_a_message: bool = False) -> None:
        """See ``Replica``."""
        if self._link is not None:
            self._count(self._link)
            self._link.cut(in_a_message=in_a_message)
            self._link = None

    def show(self, text: str) -> None:
        """See ``Replica``."""
        name = next(iter(self.docs))
        if self._link is not None and name in self._ours:
            self._shown += 1
            entry = (self.docs[name].client_id, self._shown, f'{{"at":"{text}"}}')
            self._try(m.Awareness(self._ours[name], y.awareness_payload([entry])))

    def _pump(self) -> None:
        if self._link is None:
            return
        for message in self._link.messages():
            answers: list[m.Record] = []
            for encoded in records(message):
                record = m.decode(encoded)
                assert record is not None
                answers += self._take(record)
            if self._heard:
                answers.append(m.Ack(self._heard))
            self._say(*answers)

    def _take(self, record: m.Record) -> Iterator[m.Record]:
        match record:
            case m.Open():
                if record.document not in self._ours:
                    self.brought += 1
                    yield self._open(record.document)
                self._theirs[record.handle] = record.document
                doc = self.docs[record.document]
                yield from self._answer(record.document, doc.get_update(record.state_vector))
            case m.Diff() | m.Update():
                self._heard += 1
                self._apply(self._theirs[record.handle], record.update)
            case m.Stale():
                yield self._open(self._theirs[record.handle])
            case m.Close():
                yield from self._closed(self._theirs.pop(record.handle))
            case m.Ack():
                for number in [number for number in self._sent if number <= record.number]:
                    name, spans = self._sent.pop(number)
                    self.acked[name].update(spans)
            case m.Ping():
                yield m.Pong(record.nonce)
            case m.Awareness():
                self.presence_heard += 1
            case m.Refuse() | m.Deny() | m.Goodbye():
                if not (isinstance(record, m.Goodbye) and record.code in (1001, 4205)):
                    raise AssertionError(f"peer {self.number} was told {record}")

    def _closed(self, name: str) -> Iterator[m.Record]:
        if name in self._closing:
            self._closing.discard(name)
            return
        if name in self._ours:
            yield m.Close(self._ours.pop(name))
        if name not in self._unwanted:
            yield self._open(name)

    def _close(self, name: str) -> m.Close:
        if name in self._theirs.values():
            self._closing.add(name)
        return m.Close(self._ours.pop(name))

    def _answer(self, name: str, update: bytes) -> Iterator[m.Record]:
        assert len(update) < MAX_PIECE_BYTES, "the documents of the campaign are small"
        self._note_sent(name, update)
        yield m.Diff(self._ours[name], 0, b"", update)

    def _open(self, name: str) -> m.Open:
        handle = self._ours.setdefault(name, 1 + max(self._ours.values(), default=0))
        return m.Open(handle, name, self.docs[name].get_state())

    def _send(self, name: str, update: bytes) -> None:
        if self._link is not None and name in self._ours:
            self._note_sent(name, update)
            self._try(m.Update(self._ours[name], update))

    def _note_sent(self, name: str, update: bytes) -> None:
        self._number += 1
        self._sent[self._number] = (name, inspect_update(update).spans)

    def _try(self, record: m.Record) -> None:
        try:
            self._say(record)
        except Closed:
            self.drop()

    def _say(self, *spoken: m.Record) -> None:
        assert self._link is not None
        for message in batches([frame(m.encode(record)) for record in spoken], MESSAGE_BYTES):
            self._link.send(message)


class YReplica(Replica):
    """A stock client: one socket a document."""

    def __init__(self, number: int, documents: Sequence[str], fresh: Callable[[], int]) -> None:
        self._links: dict[str, Link] = {}
        super().__init__(number, documents, fresh)

    @property
    def linked(self) -> bool:
        """See ``Replica``."""
        return bool(self._links)

    def connect(self, port: int) -> None:
        """See ``Replica``."""
        for name, doc in self.docs.items():
            try:
                link = self._links[name] = Link(port, f"/sync/{name}")
                link.send(y.step_1(doc.get_state()))
            except Closed:
                self.drop()
                return

    def drop(self, *, in_a_message: bool = False) -> None:
        """See ``Replica``."""
        for link in self._links.values():
            self._count(link)
            link.cut(in_a_message=in_a_message)
        self._links.clear()

    def show(self, text: str) -> None:
        """See ``Replica``."""
        self._shown += 1
        for name, link in list(self._links.items())[:1]:
            entry = (self.docs[name].client_id, self._shown, f'{{"at":"{text}"}}')
            self._try(link, y.presence(y.awareness_payload([entry])))

    def _pump(self) -> None:
        for name, link in list(self._links.items()):
            for data in link.messages():
                match y.decode(data):
                    case y.Change() as change:
                        self._apply(name, change.update)
                    case y.Step1() as asked:
                        link.send(y.step_2(self.docs[name].get_update(asked.state_vector)))
                    case y.Presence():
                        self.presence_heard += 1
                    case _:
                        pass

    def _send(self, name: str, update: bytes) -> None:
        if name in self._links:
            self._try(self._links[name], y.update(update))

    def _try(self, link: Link, data: bytes) -> None:
        try:
            link.send(data)
        except Closed:
            self.drop()


def clocks_of(doc: Doc) -> dict[int, int]:
    """The state vector."""
    clocks: dict[int, int] = read_state_vector(doc.get_state())[0]
    return clocks
