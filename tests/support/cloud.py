"""A hub's database in memory, and a gateway of a store that talks to a hub by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.core import reconcile
from gateway.core.bridge import Message
from gateway.core.bridge_envelope import open_down, seal_up
from gateway.core.bridge_items import Answer, Ask, Change, Item, Turn, read, written
from gateway.core.bridge_topics import Topics
from gateway.core.certificates import store_id
from gateway.core.cloud_records import (
    CloudChange,
    CloudGateway,
    CloudRefusal,
    CloudSpace,
    Greeting,
    Held,
)
from gateway.core.document import Document
from gateway.core.edit import put
from gateway.core.errors import GatewayError
from gateway.core.guard import inspect_update
from gateway.core.membership import Keys, found
from gateway.core.names import collection_of
from gateway.core.primitives import public_of
from gateway.core.records import StoredDocument

ROOT = "store-gateway"
HUB_PRIVATE = b"h" * 32
AWAY = GatewayError("hub-database-unreachable", "the database does not answer")


@dataclass
class Row:
    """A document: its changes by number, the first of which may be a snapshot."""

    snapshot: bytes = b""
    base: int = 0
    changes: dict[int, bytes] = field(default_factory=dict)
    version: int = 0
    fingerprint: bytes = b""


class MemoryCloud:
    """Satisfies ``CloudStore``; ``failure`` is raised by every verb while it is set."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self.refusals: list[CloudRefusal] = []
        self.told: dict[tuple[str, str], CloudGateway] = {}
        self.entries: dict[str, list[bytes]] = {}
        self.transactions: list[int] = []
        self.failure: GatewayError | None = None

    def append(self, changes: Sequence[CloudChange], refusals: Sequence[CloudRefusal] = ()) -> None:
        self._check()
        self.transactions.append(len(changes))
        for change in changes:
            row = self.rows.setdefault((change.space, change.document), Row())
            row.version += 1
            row.changes[row.version] = change.update
            row.fingerprint = b""
        self.refusals += refusals

    def load(self, space: str, document: str) -> StoredDocument:
        self._check()
        row = self.rows.get((space, document), Row())
        return StoredDocument(row.snapshot, tuple(row.changes.values()))

    def version(self, space: str, document: str) -> int:
        self._check()
        return self.rows.get((space, document), Row()).version

    def compact(self, space: str, document: str, version: int, snapshot: bytes) -> bool:
        self._check()
        row = self.rows[space, document]
        if version <= row.base:
            return False
        row.snapshot, row.base = snapshot, version
        row.changes = {number: raw for number, raw in row.changes.items() if number > version}
        return True

    def held(self, space: str, collections: Sequence[str] | None = None) -> Sequence[Held]:
        self._check()
        return [
            Held(
                space, name, row.version, row.fingerprint,
                len(row.snapshot) + sum(map(len, row.changes.values())), len(row.changes),
            )
            for (where, name), row in sorted(self.rows.items())
            if where == space and (collections is None or collection_of(name) in collections)
        ]  # fmt: skip

    def settle(self, space: str, document: str, version: int, fingerprint: bytes) -> None:
        self._check()
        if self.rows[space, document].version == version:
            self.rows[space, document].fingerprint = fingerprint

    def page(self, space: str, collection: str, after: str, most: int) -> Sequence[Held]:
        raise NotImplementedError

    def changed(self, space: str, after: str, most: int) -> tuple[Sequence[Held], str]:
        raise NotImplementedError

    def wait_for_changes(self, seconds: float) -> bool:
        raise NotImplementedError

    def greet(self, heard: Sequence[Greeting]) -> None:
        self._check()
        for said in heard:
            place = said.store, said.peer
            known = self.told.get(place, CloudGateway(*place, (), 0))
            wants = known.wants if said.wants is None else tuple(said.wants)
            self.told[place] = replace(known, wants=wants)

    def gateways(self, stores: Sequence[str]) -> Sequence[CloudGateway]:
        self._check()
        return [one for (where, _), one in self.told.items() if where in stores]

    def wanting(self, stores: Sequence[str] | None, collection: str) -> Sequence[CloudGateway]:
        self._check()
        return [
            one
            for one in self.told.values()
            if (stores is None or one.store in stores) and collection in one.wants
        ]

    def revoke(self, store: str, entries: Sequence[bytes], replaced: Sequence[bytes] = ()) -> None:
        self._check()
        known = self.entries.setdefault(store, [])
        known += [entry for entry in entries if entry not in known]
        self.entries[store] = [entry for entry in known if entry not in replaced]

    def revocations(self, stores: Sequence[str]) -> Sequence[tuple[str, bytes]]:
        self._check()
        return [(store, entry) for store in stores for entry in self.entries.get(store, ())]

    def spaces(self, after: str, most: int) -> Sequence[CloudSpace]:
        raise NotImplementedError

    def sizes(self, spaces: Sequence[str]) -> Mapping[str, int]:
        self._check()
        sizes: dict[str, int] = {}
        for (space, _), row in self.rows.items():
            if space in spaces:
                size = len(row.snapshot) + sum(map(len, row.changes.values()))
                sizes[space] = sizes.get(space, 0) + size
        return sizes

    def totals(self) -> Mapping[str, int]:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure


class HandGateway:
    """A gateway with documents in memory; ``say`` makes its messages, ``hear`` reads the hub's.

    What it hears it answers as a gateway does; ``heard`` are the items that came.
    """

    def __init__(
        self,
        number: int,
        root_private: bytes = b"r" * 32,
        root: str = ROOT,
        *,
        hub: bytes = public_of(HUB_PRIVATE),
    ) -> None:
        self.peer = bytes([number]) * 16
        self.keys = Keys(bytes([number]) * 32, bytes([number + 100]) * 32)
        self.root_public = public_of(root_private)
        self.store = store_id(self.root_public)
        self.certificate = found(root_private, self.peer, self.keys, bytes([number]) * 8)
        self.topics = Topics(root, self.store, self.peer)
        self.documents: dict[str, Document] = {}
        self.heard: list[Item] = []
        self._client = 1_000 + number
        self._hub = hub

    def say(self, *items: Item) -> list[Message]:
        """Its messages of these items."""
        return [Message(self.topics.up, self.sealed(batch)) for batch, _ in written(items)]

    def sealed(self, batch: bytes) -> bytes:
        """The payload with a batch."""
        return seal_up(
            self.keys.signing_private, self.certificate, self.root_public, self.peer, batch
        )

    def put(self, name: str, **content: object) -> Change:
        """Change a document; the change."""
        document = self.documents.setdefault(name, Document(name))
        update = document.edited(self._client, put(document.project(), content))
        document.apply([(update, inspect_update(update))])
        return Change(name, update)

    def opening(self) -> Turn:
        """The first turn of an exchange."""
        return Turn(reconcile.opening(self._catalogue(), b"12345678"))

    def hear(self, payload: bytes) -> list[Message]:
        """Take a message of the hub; what is answered."""
        answers: list[Item] = []
        for item in read(open_down(payload, self._hub, self.store, self.peer)):
            self.heard.append(item)
            answers += self._answer(item)
        return self.say(*answers) if answers else []

    def content(self, name: str) -> object:
        """A document as JSON."""
        return self.documents.get(name, Document(name)).project()

    def _answer(self, item: Item) -> list[Item]:
        match item:
            case Change(name, update) | Answer(name, _, update):
                document = self.documents.setdefault(name, Document(name))
                document.apply([(update, inspect_update(update))])
            case Turn(ranges):
                answer = reconcile.answer(self._catalogue(), ranges)
                asks = [Ask(name, self._vector(name)) for name in answer.differing]
                return [*asks, *([] if answer.reply is None else [Turn(answer.reply)])]
            case Ask(name, vector):
                held = self.documents.get(name)
                return [] if held is None else [Change(name, held.diff(vector))]
        return []

    def _vector(self, name: str) -> bytes:
        return self.documents.get(name, Document(name)).state_vector()

    def _catalogue(self) -> reconcile.Catalogue:
        return reconcile.Catalogue(
            (name, document.fingerprint()) for name, document in self.documents.items()
        )
