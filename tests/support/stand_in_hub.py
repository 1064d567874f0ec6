"""A hub of one process and no database: answers as docs/protocol.md section 12 says."""

from collections.abc import Iterable, Sequence

from gateway.core import reconcile
from gateway.core.bridge_items import (
    Answer,
    Ask,
    Change,
    Item,
    Ping,
    Pong,
    Revoked,
    Turn,
    Wants,
)
from gateway.core.document import Document
from gateway.core.guard import inspect_update
from gateway.core.names import collection_of


class StandInHub:
    """``documents``: what it holds; ``heard``: all that was said to it."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.heard: list[Item] = []
        self.wants: tuple[str, ...] = ()
        self.revoked: list[bytes] = []
        # Kinds of items to which it does not react.
        self.deaf: tuple[type, ...] = ()

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
        if collection_of(name) not in self.wants or not document.clocks:
            return [question]
        return [Answer(name, document.fingerprint(), document.diff(vector)), question]

    def _catalogue(self) -> reconcile.Catalogue:
        return reconcile.Catalogue(
            (name, document.fingerprint())
            for name, document in self.documents.items()
            if document.clocks
        )
