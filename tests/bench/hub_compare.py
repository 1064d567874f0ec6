"""Stores that compare with a hub, many of them over one connection to its broker.

They all hold the same documents, each in its own space of the hub: so a thousand of them fit here.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from pycrdt import Doc, Map

from gateway.core import reconcile
from gateway.core.bridge_items import Change, Item, Turn, Wants
from gateway.core.document import Document
from tests.bench.hub_site import Site
from tests.bench.stores import MERGED, Published
from tests.support.cloud import HandGateway

COLLECTION = "orders"
SUBSCRIPTIONS = 100
WRITER = 7
PATIENCE_SECONDS = 30.0


class Shelf:
    """Documents of a store and what is found out of them once for all stores."""

    def __init__(self, documents: Mapping[str, Document]) -> None:
        self.documents = dict(documents)
        self.catalogue = reconcile.Catalogue(
            (name, document.fingerprint()) for name, document in self.documents.items()
        )

    def beyond(self, count: int) -> "Shelf":
        """The same, but for a change more of some, spread over them."""
        names = sorted(self.documents)
        step = len(names) // count
        newer = dict(self.documents)
        for name in names[step // 2 :: step][:count]:
            seen: Doc[Any] = Doc(client_id=WRITER)
            seen.apply_update(self.documents[name].diff(b"\0"))
            seen.get("order", type=Map)["order"]["status"] = "gone"
            newer[name] = Document.load(name, b"", [seen.get_update()])
        return Shelf(newer)


class ComparingGateway(HandGateway):
    """The gateway of a store of this number, for the hub with this public key."""

    def __init__(self, number: int, shelf: Shelf, hub: bytes) -> None:
        super().__init__(1, sha256(f"comparing store {number}".encode()).digest(), hub=hub)
        self.on(shelf)

    def on(self, shelf: Shelf) -> None:
        """It has these documents now."""
        self.shelf = shelf
        self.documents = shelf.documents

    def opened(self) -> Turn:
        """The first turn of an exchange."""
        return Turn(reconcile.opening(self.shelf.catalogue, b"12345678"))

    def filling(self) -> Iterator[Published]:
        """All its documents, as what waited."""
        changes = [Change(name, one.diff(b"\0")) for name, one in self.shelf.documents.items()]
        for first in range(0, len(changes), MERGED):
            items: list[Item] = [*changes[first : first + MERGED]]
            if not first:
                items.insert(0, Wants((COLLECTION,)))
            for message in self.say(*items):
                yield Published(message.topic, message.payload, len(items))

    def _catalogue(self) -> reconcile.Catalogue:
        return self.shelf.catalogue


class Exchanges:
    """``with Exchanges(site, gateways) as all``: each answers what the hub says.

    ``up_bytes`` and ``down_bytes``: payloads of messages.
    """

    def __init__(self, site: Site, gateways: Sequence[ComparingGateway]) -> None:
        self._gateways = {gateway.topics.down: gateway for gateway in gateways}
        self._left = threading.Semaphore(0)
        self.up_bytes = self.down_bytes = 0
        name = f"store-gateway-{gateways[0].peer.hex()}"
        client = self._client = Client(
            CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5
        )
        client.max_inflight_messages_set(1_000)
        client.max_queued_messages_set(0)
        client.on_message = self._message
        client.on_subscribe = lambda *_: self._left.release()
        client.on_connect = lambda *_: self._left.release()
        if site.login.user:
            client.username_pw_set(site.login.user, site.login.password)
        client.connect("127.0.0.1", site.ports[0])

    def __enter__(self) -> Self:
        self._client.loop_start()
        assert self._left.acquire(timeout=PATIENCE_SECONDS)
        topics = list(self._gateways)
        for first in range(0, len(topics), SUBSCRIPTIONS):
            self._client.subscribe([(topic, 1) for topic in topics[first : first + SUBSCRIPTIONS]])
            assert self._left.acquire(timeout=PATIENCE_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def begin(self) -> None:
        """All compare."""
        self.up_bytes = self.down_bytes = 0
        for gateway in self._gateways.values():
            self._say(gateway, gateway.opened())

    def _say(self, gateway: ComparingGateway, *items: Item) -> None:
        for message in gateway.say(*items):
            self._publish(message.topic, message.payload)

    def _publish(self, topic: str, payload: bytes) -> None:
        self.up_bytes += len(payload)
        self._client.publish(topic, payload, 1)

    def _message(self, client: Client, data: object, message: MQTTMessage) -> None:
        payload = bytes(message.payload)
        self.down_bytes += len(payload)
        for answer in self._gateways[message.topic].hear(payload):
            self._publish(answer.topic, answer.payload)
