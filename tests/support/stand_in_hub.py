"""A hub of one process and no database: answers as docs/protocol.md section 12 says."""

from collections.abc import Iterable, Sequence

from paho.mqtt.client import Client, MQTTMessage

from gateway.core import reconcile
from gateway.core.bridge_envelope import open_up, seal_down
from gateway.core.bridge_items import (
    Answer,
    Ask,
    Change,
    Item,
    Nothing,
    Ping,
    Pong,
    Revoked,
    Turn,
    Wants,
    read,
    written,
)
from gateway.core.document import Document
from gateway.core.guard import inspect_update
from gateway.core.names import collection_of
from tests.support.broker import MosquittoBroker
from tests.support.office import Office

ROOT = "store-gateway"


class StandInHub:
    """``documents``: what it holds; ``heard``: all that was said to it."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.heard: list[Item] = []
        self.wants: tuple[str, ...] = ()
        self.revoked: list[bytes] = []
        # Kinds of items to which it does not react.
        self.deaf: tuple[type, ...] = ()
        # Collections that a gateway may not write.
        self.kept: tuple[str, ...] = ()

    def document(self, name: str) -> Document:
        """A document, an empty one if it is unknown."""
        return self.documents.setdefault(name, Document(name))

    def take(self, name: str, update: bytes) -> None:
        """A change from elsewhere."""
        self.document(name).apply([(update, inspect_update(update))])

    def content(self, name: str) -> object:
        """The fields of a document."""
        return self.document(name).project().get("fields")

    def hear(self, items: Iterable[Item]) -> Sequence[Item]:
        """Take what a gateway says; what is said to it."""
        answers: list[Item] = []
        for item in items:
            self.heard.append(item)
            if not isinstance(item, self.deaf):
                answers += self._answer(item)
        return answers

    def _answer(self, item: Item) -> Sequence[Item]:
        match item:
            case Ping(nonce):
                return [Pong(nonce)]
            case Wants(collections):
                self.wants = collections
            case Revoked(entry):
                self.revoked.append(entry)
            case Change(name, update):
                if collection_of(name) not in self.kept:
                    self.take(name, update)
            case Ask(name, vector):
                return self._asked(name, vector)
            case Turn(ranges):
                reply = reconcile.answer(self._catalogue(), ranges).reply
                return [] if reply is None else [Turn(reply)]
        return []

    def _asked(self, name: str, vector: bytes) -> Sequence[Item]:
        document = self.document(name)
        question = Ask(name, document.state_vector())
        questions = [] if collection_of(name) in self.kept else [question]
        if collection_of(name) not in self.wants or not document.clocks:
            return questions or [Nothing(name)]
        return [Answer(name, document.fingerprint(), document.diff(vector)), *questions]

    def _catalogue(self) -> reconcile.Catalogue:
        return reconcile.Catalogue(
            (name, document.fingerprint())
            for name, document in self.documents.items()
            if document.clocks
        )


class HubAtBroker(Office):
    """The same at a broker; its answers are made and sent by a thread of its own."""

    def __init__(self, broker: MosquittoBroker, signing: bytes, hub: StandInHub) -> None:
        super().__init__(broker, f"{ROOT}/+/up/+", user="hub")
        self.hub = hub
        self.messages: list[tuple[str, bytes]] = []
        self._signing = signing

    def started(self) -> None:
        """Say that a worker started."""
        self._client.publish(f"{ROOT}/hub", b"1", 1)

    def say(self, store: str, peer: str, *items: Item) -> None:
        """Say something to a gateway."""
        one, other = bytes.fromhex(store), bytes.fromhex(peer)
        for batch, _ in written(items):
            payload = seal_down(self._signing, one, other, batch)
            self._client.publish(f"{ROOT}/{store}/down/{peer}", payload, 1)

    def _message(self, client: Client, data: object, message: MQTTMessage) -> None:
        self.messages.append((message.topic, bytes(message.payload)))
        _, store, _, peer = message.topic.split("/")
        opened = open_up(bytes(message.payload), bytes.fromhex(store), bytes.fromhex(peer))
        self.say(store, peer, *self.hub.hear(read(opened.batch)))
