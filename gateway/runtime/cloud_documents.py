"""The documents of a hub's database, built when they are needed; for the thread of the store."""

import logging
from dataclasses import dataclass

from gateway.core.cloud_answers import loaded, to_compact
from gateway.core.cloud_records import CloudChange, CloudRefusal, Held
from gateway.core.document import Document, DocumentBroken
from gateway.core.errors import Code
from gateway.ports import CloudStore

# Who wrote what no gateway sent.
CLOUD = ""

log = logging.getLogger("gateway.hub")


@dataclass(frozen=True, slots=True)
class Opened:
    """A document, and the number of a change up to which it holds all."""

    document: Document
    version: int


class CloudDocuments:
    """Every verb raises ``GatewayError`` as ``CloudStore`` does."""

    def __init__(self, store: CloudStore) -> None:
        self._store = store
        self._broken: set[tuple[str, str]] = set()
        self.compacted = 0

    @property
    def broken(self) -> int:
        """How many documents could not be loaded."""
        return len(self._broken)

    def open(self, space: str, name: str) -> Opened | None:
        """A document; None if it cannot be loaded, which the log says once.

        It is written anew where that saves loading its many changes. A change that breaks it is
        taken out, and kept as a refusal.
        """
        # In this order: what others add meanwhile may be in the document, never the other way.
        version = self._store.version(space, name)
        stored = self._store.load(space, name)
        try:
            document = loaded(name, stored)
            # Only who has one is sure to be whole.
            document.fingerprint()
            if to_compact(document, stored):
                self._compact(space, document, version)
        except DocumentBroken as error:
            if (space, name) not in self._broken:
                self._broken.add((space, name))
                log.error("%s in %s cannot be loaded: %s", name, space, error.cause)
            return None
        return Opened(document, version)

    def settled(self, space: str, held: Held) -> Held | None:
        """The same with its fingerprint; None if the document cannot be loaded."""
        opened = self.open(space, held.document)
        if opened is None:
            return None
        value = opened.document.fingerprint()
        self._store.settle(space, held.document, opened.version, value)
        return Held(space, held.document, opened.version, value, held.size, held.rows)

    def _compact(self, space: str, document: Document, version: int) -> None:
        """What waits for what is missing is no part of a snapshot: it is written once more."""
        snapshot = document.snapshot()
        early = [CloudChange(space, document.name, raw, CLOUD) for raw in document.early]
        refusals = [
            CloudRefusal(
                space, document.name, raw, CLOUD, int(Code.REFUSED), "it breaks the document"
            )
            for raw in document.forgotten
        ]
        if refusals:
            log.error("%s in %s: %d changes that break it are taken out",
                      document.name, space, len(refusals))  # fmt: skip
        if early or refusals:
            self._store.append(early, refusals)
        self.compacted += self._store.compact(space, document.name, version, snapshot)
