"""The documents of a hub's database, built when they are needed; for the thread of the store."""

import logging
from dataclasses import dataclass

from gateway.core.cloud_answers import MAX_EARLY, loaded, to_compact
from gateway.core.cloud_records import CloudChange, CloudRefusal, Held
from gateway.core.document import Document, DocumentBroken
from gateway.core.errors import Code
from gateway.core.records import StoredDocument
from gateway.ports import CloudStore

# Who wrote what no gateway sent.
CLOUD = ""
# Documents that are known to be broken; each is named in the log once.
MAX_BROKEN = 1_000
# Lines about changes that were taken out, then each that is a multiple of it.
COMPLAINTS = 100

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
        self._mended = 0
        self.compacted = 0

    @property
    def broken(self) -> int:
        """How many documents could not be loaded, or written anew."""
        return len(self._broken)

    def open(self, space: str, name: str) -> Opened | None:
        """A document; None if it cannot be loaded, which the log says once.

        It is written anew where that saves loading its many changes. A change that breaks it is
        taken out, and kept as a refusal.
        """
        # In this order: what others add meanwhile may be in the document, never the other way.
        version = self._store.version(space, name)
        stored = self._store.load(space, name)
        document = self._loaded(space, name, stored)
        if document is None:
            return None
        if to_compact(document, stored):
            self._compact(space, document, version)
        return Opened(document, version)

    def settled(self, space: str, held: Held) -> Held | None:
        """The same with its fingerprint; None if the document cannot be loaded."""
        opened = self.open(space, held.document)
        if opened is None:
            return None
        value = opened.document.fingerprint()
        self._store.settle(space, held.document, opened.version, value)
        return Held(space, held.document, opened.version, value, held.size, held.rows)

    def _loaded(self, space: str, name: str, stored: StoredDocument) -> Document | None:
        try:
            document = loaded(name, stored)
            # Only who has one is sure to be whole.
            document.fingerprint()
        except DocumentBroken as error:
            self._complain(space, name, "loaded", error.cause)
        except Exception as error:  # noqa: BLE001
            # Whatever it is, the other documents of the store are not to wait for it.
            self._complain(space, name, "loaded", error)
        else:
            return document
        return None

    def _complain(self, space: str, name: str, what: str, cause: BaseException | str) -> None:
        if (space, name) not in self._broken and len(self._broken) < MAX_BROKEN:
            self._broken.add((space, name))
            said = cause if isinstance(cause, str) else type(cause).__name__
            log.error("%s in %s cannot be %s: %s", name, space, what, said)

    def _compact(self, space: str, document: Document, version: int) -> None:
        """What waits for what is missing is no part of a snapshot: it is written once more."""
        try:
            snapshot = document.snapshot()
        except DocumentBroken as error:
            self._complain(space, document.name, "written anew", error.cause)
            return
        waiting = document.early
        early = [CloudChange(space, document.name, raw, CLOUD) for raw in waiting[:MAX_EARLY]]
        refusals = [
            CloudRefusal(
                space, document.name, raw, CLOUD, int(Code.REFUSED), "it breaks the document"
            )
            for raw in (*document.forgotten, *waiting[MAX_EARLY:])
        ]
        self._tell(space, document.name, len(refusals))
        if early or refusals:
            self._store.append(early, refusals)
        self.compacted += self._store.compact(space, document.name, version, snapshot)

    def _tell(self, space: str, name: str, count: int) -> None:
        """Changes were taken out; who sends them again and again does not fill the log."""
        self._mended += bool(count)
        if count and (self._mended <= COMPLAINTS or self._mended % COMPLAINTS == 0):
            log.error("%s in %s: %d changes that break it are taken out", name, space, count)
