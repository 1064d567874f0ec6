"""What the gateway needs from the outside world, in few verbs.

Adapters implement these Protocols; the runtime is handed objects of these shapes
and knows no library behind them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from gateway.core.announcement import Address, Announcement, Neighbour
from gateway.core.beacon import Beacon
from gateway.core.bridge import Message, Publication
from gateway.core.cloud_records import (
    CloudChange,
    CloudGateway,
    CloudRefusal,
    CloudSpace,
    Greeting,
    Held,
)
from gateway.core.errors import GatewayError
from gateway.core.radio import Facts, Repair
from gateway.core.records import (
    Change,
    OutboxStatus,
    Refusal,
    StoredDocument,
    StoredRow,
    StoreStatus,
    Waiting,
)


class Store(Protocol):
    """One durable log with snapshots. Blocking; used from one thread at a time.

    Every verb raises ``GatewayError`` with a code starting ``store-``; after
    ``store-failed`` (an I/O error) the transaction did not happen and the store
    must be closed.
    """

    def append(self, records: Sequence[Change | Refusal]) -> None:
        """Write all records in one transaction; they are on the disk on return."""

    def load(self, document: str) -> StoredDocument:
        """What is stored of a document; an empty one when it is unknown."""

    def history(self, document: str) -> Sequence[StoredRow]:
        """The rows of a document in their order; none when it is unknown."""

    def compact(self, document: str, snapshot: bytes, keep: Sequence[bytes]) -> None:
        """Replace all that is stored of the document by ``snapshot`` followed by ``keep``.

        The snapshot is on the disk before anything it replaces is removed; that may be later.
        """

    def names(self, collection: str = "") -> Sequence[str]:
        """The names of all stored documents, or those of one collection, sorted.

        The second takes time for its own documents only.
        """

    def held(self) -> Sequence[tuple[str, int]]:
        """Each document and the bytes stored of it, the one unchanged for longest first."""

    def forget(self, documents: Sequence[str]) -> None:
        """Remove all that is stored of these documents, in one transaction."""

    def quarantined(self) -> frozenset[bytes]:
        """Digests (BLAKE2b, 16 bytes) of the updates in quarantine."""

    def status(self) -> StoreStatus:
        """Figures about the store."""

    def backup(self, target: Path) -> None:
        """Write a consistent copy of the store to ``target`` while it is in use."""

    def close(self) -> None:
        """Finish and release the database; idempotent."""


class Outbox(Protocol):
    """What a store holds that the cloud has not: its log from some number on. Blocking, used as
    ``Store`` is and by its thread. What came from the cloud itself never waits.

    A change waits from the transaction on that wrote it, whatever snapshot replaces it, unless its
    document is forgotten; what was sent is kept in mind with a later transaction, so after a crash
    some may be sent again. Raises as ``Store`` does.
    """

    def relay(self, collections: Sequence[str] | None) -> None:
        """From now on changes of these collections wait; None: of all. Before anything else.

        The first time nothing waits that is there already: it has to be compared.
        """

    def waiting(self, most: int) -> Sequence[str]:
        """Documents that wait, the one that waits longest first."""

    def read(self, document: str, after: int = 0) -> Waiting:
        """What waits of a document and is numbered above ``after``; nothing when nothing does.

        Of very much only the first part (``MOST_READ_BYTES``).
        """

    def sent(self, document: str, last: int) -> None:
        """What of a document is numbered up to ``last`` waits no more; on the disk later."""

    def merge(self, document: str, last: int, update: bytes) -> None:
        """``update`` is stored in place of what waits of a document up to ``last``, which has to
        wait itself and is its number from now on; it holds the same and needs less room.
        """

    def leave(self) -> None:
        """Nothing that waits does any more, nor what comes, until ``resume``: there is too much."""

    def resume(self) -> None:
        """What comes from now on waits again."""

    def note_waited(self, seconds: int) -> None:
        """For so long waits what waits longest; on the disk within an hour, with what is written
        anyway. The clock is the caller's, so it is known again after a restart."""

    def outbox_status(self) -> OutboxStatus:
        """Figures about what waits."""


class RelayingStore(Store, Outbox, Protocol):
    """A store that also holds what waits for the cloud."""


class Link(Protocol):
    """One connection that delivers byte messages reliably and in order, or closes."""

    @property
    def address(self) -> str:
        """Where the peer is, for people."""

    @property
    def local(self) -> str:
        """The address of this device that the connection uses, or ""."""

    @property
    def congested(self) -> bool:
        """Whether the peer does not take what was sent; hold back until ``writable``."""

    def round_trip_ms(self) -> float | None:
        """An estimate of how long a message and its answer take; None if nothing is known."""

    async def recv(self) -> list[bytes]:
        """All messages that arrived since the last call; empty once the link is closed."""

    def send(self, data: bytes) -> None:
        """Send one message; ignored once the link is closed."""

    async def writable(self) -> None:
        """Return when the link is not congested, or closed."""

    def on_writable(self, callback: Callable[[], None]) -> None:
        """Call back in the event loop whenever the link stops being congested."""

    def close(self, code: int, reason: str) -> None:
        """Send what is pending, tell the peer why, and close; idempotent."""


class Note(Protocol):
    """Remembers across a crash what was being applied (invariant 12)."""

    def before(self, applying: Sequence[tuple[str, str, bytes]]) -> None:
        """Document, author and update of each item that is about to be applied."""

    def after(self) -> None:
        """It went well."""


class Deaths(Protocol):
    """What earlier processes left behind that died while they applied something."""

    def found(self) -> Sequence[tuple[str, str, bytes]]:
        """Document, author and update of each item the last one was applying."""

    def after(self) -> None:
        """That was looked at."""

    def suspects(self) -> frozenset[bytes]:
        """Digests of updates that were remembered as suspects."""

    def suspect(self, digests: Iterable[bytes]) -> None:
        """Remember these, and no others. Raises ``GatewayError``."""


class IdentityStore(Protocol):
    """A few small values that are this device's identity; blocking, and durable on return.

    Both verbs raise ``GatewayError`` with a code starting ``identity-``.
    """

    def read(self, name: str) -> Any:
        """The JSON value of this name; None if there is none."""

    def write(self, name: str, value: Any) -> None:
        """Replace a value as a whole, or not at all."""


class Clock(Protocol):
    """Time that only goes forward; the wall clock of a Pi cannot be trusted."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""


class Sightings(Protocol):
    """Who wants to know who is in the network."""

    def seen(self, neighbour: Neighbour) -> None:
        """A peer announces itself, or does so differently now."""

    def gone(self, peer: str) -> None:
        """A peer announces itself no more."""


class Discovery(Protocol):
    """Finds peers in the local network, and is found."""

    async def start(
        self, addresses: Sequence[Address], own: Announcement | None, sightings: Sightings
    ) -> None:
        """Announce ``own``, if there is one, and tell of others, until ``stop``.

        Only over interfaces with usable addresses. Who is seen may be this device itself.
        Raises ``GatewayError`` ``discovery-failed``; nothing goes on then.
        """

    async def stop(self, *, goodbye: bool) -> None:
        """Stop both, telling the others unless the network is gone anyway; idempotent."""


class Network(Protocol):
    """The addresses of this device."""

    def addresses(self) -> Sequence[Address]:
        """Those there are now."""

    async def changed(self) -> None:
        """Return once they differ from those ``addresses`` gave last, and stay so for a moment,
        or the device woke up."""

    def close(self) -> None:
        """Look no more."""


class Channel(Protocol):
    """An L2CAP channel: bytes in order, as a stream."""

    async def recv(self) -> bytes:
        """What arrived; empty once it is closed."""

    def send(self, data: bytes) -> None:
        """Send after what was sent before; ignored once it is closed."""

    @property
    def waiting_bytes(self) -> int:
        """What was sent and is not on its way."""

    def on_room(self, callback: Callable[[], None]) -> None:
        """Call back in the event loop whenever ``waiting_bytes`` became less."""

    def close(self) -> None:
        """End it; idempotent."""


class Phones(Protocol):
    """Who wants to know what phones do. A phone is named by its Bluetooth address."""

    def connected(self, phone: str) -> None:
        """A phone has a connection."""

    def disconnected(self, phone: str) -> None:
        """It has it no more."""

    def info(self, phone: str, psm: int) -> bytes:
        """What a phone reads as INFO; ``psm``: where channels are taken, or 0."""

    def written(self, phone: str, value: bytes, mtu: int) -> None:
        """A phone wrote RX; ``mtu`` of its connection as far as it is known, else 23."""

    def room(self, phone: str) -> None:
        """A notification may be accepted that was not before."""

    def channel(self, phone: str, channel: Channel) -> None:
        """A phone opened an L2CAP channel."""


class Radio(Protocol):
    """A Bluetooth controller with this gateway's GATT service (docs/bluetooth.md)."""

    @property
    def adapter(self) -> str:
        """The controller that offers the service now, such as hci0, or ""."""

    def use(self, adapter: str) -> None:
        """Serve with this controller from the next time on; "": with the first that works."""

    async def serve(self, phones: Phones) -> None:
        """Offer the service until the radio is lost. Raises ``GatewayError`` ``bluetooth-…``:
        ``core.radio.NO_BUS``, ``NO_DAEMON``, ``NOT_ALLOWED``, others where the kernel shows why.

        Switches the controller on. All phones are gone then; serving may be tried again.
        """

    async def advertise(self, beacon: Beacon | None) -> None:
        """Advertise this from now on, also after phones come and go; None: nothing."""

    def notify(self, phone: str, place: int, value: bytes) -> bool:
        """Notify a phone by the TX of its place; False: there is no room for it now.

        What a phone that has not subscribed is notified is lost.
        """

    def disconnect(self, phone: str) -> None:
        """End a phone's connection."""


class RadioTools(Protocol):
    """What can be seen of Bluetooth below the service, and done about it."""

    async def facts(self) -> Facts:
        """What there is now; cheap enough to be asked each second."""

    async def repair(self, repair: Repair, adapter: str) -> str:
        """Do one repair, to this controller; why it could not be tried, or ""."""


class BrokerLink(Protocol):
    """One connection to an MQTT broker; used once. Every verb raises ``GatewayError``
    ``broker-…`` once it is lost.
    """

    @property
    def local(self) -> str:
        """The address of this device that the connection uses."""

    @property
    def most_bytes(self) -> int:
        """How long topic and payload of a publication may be together."""

    async def publish(self, publication: Publication) -> None:
        """Publish at QoS 1; the broker has it on return. A few go at the same time, others wait.

        Raises ``GatewayError``: ``broker-topic-denied``, ``broker-quota``, ``broker-limits`` or
        ``broker-refused`` when it takes this one not, ``broker-nobody`` when this one was to be
        heard, and the broker says that nobody listens; the connection goes on.
        """

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Hear these topics, but not what is retained there. Raises as ``publish`` does."""

    async def share(self, group: str, topics: Sequence[str]) -> bool:
        """The same, but each message goes to one of the group alone (MQTT 5.0 section 4.8.2).

        False: there is no such thing with this broker, and all of the group hear all.
        """

    async def retained(self, topic: str) -> bytes:
        """What is retained at a topic that we may read and write; empty where nothing is.

        Raises as ``publish`` does, and ``broker-silent`` where that cannot be found out.
        """

    async def message(self) -> Message:
        """The next message. It counts as heard once it is ``done``."""

    def done(self, message: Message) -> None:
        """The broker need not keep a message any more."""

    async def lost(self) -> GatewayError:
        """Why the connection ended, once it did."""

    def end(self, error: GatewayError) -> None:
        """The connection is to be lost, for this reason."""

    async def close(self, seconds: float) -> None:
        """Say goodbye, so that no will is published; at most for so long. Idempotent."""


class Broker(Protocol):
    """An MQTT broker somewhere."""

    @property
    def name(self) -> str:
        """Where it is, for people."""

    async def connect(self, will: Publication) -> BrokerLink:
        """Connect; ``will`` is published for us when the connection is lost.

        Raises ``GatewayError`` with a code of ``core.bridge.CAUSES``.
        """


class Intake(Protocol):
    """Messages for hub workers, each to one of them; used once. Every verb raises ``GatewayError``
    ``broker-…`` once it is lost.
    """

    async def message(self) -> Message:
        """The next message, its topic in MQTT's form. It is ours until it is ``done``; if that does
        not happen here it comes again, to this worker or another.
        """

    def done(self, message: Message) -> None:
        """The broker need not keep a message any more; does nothing once it is lost."""

    async def lost(self) -> GatewayError:
        """Why the connection ended, once it did."""

    async def close(self, seconds: float) -> None:
        """Say goodbye; what is not done comes to others. At most for so long. Idempotent."""


class CloudStore(Protocol):
    """The documents of many stores, in spaces (``core.cloud_records``), for any number of workers.

    Blocking; one object is used from one thread at a time, several processes may have one each.
    Names of spaces and documents have been checked (``core.names``), ids are in hex.

    Every verb raises ``GatewayError``: ``hub-database-unreachable`` and ``hub-database-full`` pass,
    anything else starting ``hub-database-`` needs somebody. What raised was not done, except that
    it may have been when the connection was lost at the end; doing it again harms nothing.
    """

    def append(self, changes: Sequence[CloudChange], refusals: Sequence[CloudRefusal] = ()) -> None:
        """Write all of it in one transaction; it is durable on return.

        Changes of one document keep their order. Of refusals the newest are kept, each once.
        """

    def load(self, space: str, document: str) -> StoredDocument:
        """What is held of a document; an empty one when it is unknown."""

    def version(self, space: str, document: str) -> int:
        """The number of the last change of a document, from 1 on; 0 when it is unknown.

        To compact or to settle it is asked for before ``load``, which may then give more.
        """

    def compact(self, space: str, document: str, version: int, snapshot: bytes) -> bool:
        """Put ``snapshot`` in the place of all up to ``version``, which it holds.

        False when there is no such version or a snapshot of it or of a later one: nothing is done.
        What other workers write at the same time is kept. The version stays, and the fingerprint.
        """

    def held(self, space: str, collections: Sequence[str] | None = None) -> Sequence[Held]:
        """All documents of a space, or of some of its collections, by name (by their bytes)."""

    def settle(self, space: str, document: str, version: int, fingerprint: bytes) -> None:
        """The fingerprint of a document at a version; ignored once that is not the last.

        It may be lost when the database fails just then, and has to be found out again.
        """

    def page(self, space: str, collection: str, after: str, most: int) -> Sequence[Held]:
        """Documents of a collection ("": of all) by name, from behind ``after`` on."""

    def changed(self, space: str, after: str, most: int) -> tuple[Sequence[Held], str]:
        """Documents of a space ("": of all) that changed after a place of the feed, each once and
        in the order of its last change; and the place to go on from.

        ``after``: "" for the beginning, "now" for the end, else a place, which is good for any
        space. Nothing that is committed later comes before a place that was given out; so "now" may
        bring what was committed just before, and a change is not seen while an older transaction
        runs. Raises ``hub-bad-place``.
        """

    def wait_for_changes(self, seconds: float) -> bool:
        """Whether somebody may have changed a document since the last call; waits for that.

        True the first time, after a new connection, and now and then for nothing. A change may be
        seen in the feed only later, or a wake be lost: whoever follows looks every few seconds too.
        """

    def greet(self, heard: Sequence[Greeting]) -> None:
        """Gateways, each once, were heard: in one transaction."""

    def gateways(self, stores: Sequence[str]) -> Sequence[CloudGateway]:
        """Those of these stores that were heard, whatever they want; by store and id."""

    def wanting(self, stores: Sequence[str] | None, collection: str) -> Sequence[CloudGateway]:
        """The gateways of these stores, or of all, that want a collection; by store and id."""

    def revoke(self, store: str, entries: Sequence[bytes], replaced: Sequence[bytes] = ()) -> None:
        """Keep revocations of a store, and forget those that they replaced; what is known already
        is ignored."""

    def revocations(self, stores: Sequence[str]) -> Sequence[tuple[str, bytes]]:
        """Those of these stores, each with its store, in any order."""

    def spaces(self, after: str, most: int) -> Sequence[CloudSpace]:
        """The spaces there are, by name from behind ``after`` on, with their figures.

        A store is a space from the first that is kept of it, though it be no document.
        """

    def sizes(self, spaces: Sequence[str]) -> Mapping[str, int]:
        """Bytes held of these spaces, those of which nothing is held left out."""

    def totals(self) -> Mapping[str, int]:
        """``spaces``, ``documents``, ``bytes``, ``gateways``, ``refusals`` of all."""

    def close(self) -> None:
        """Release the database; idempotent."""
