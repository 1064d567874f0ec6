"""What is on the disk of documents, for the hub: read in the store's thread, taken apart beside
the loop.

Never from the documents in memory: they may hold what is not on the disk (invariant 2).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar, cast

from gateway.core.bridge_items import Ask, Change
from gateway.core.document import Document, DocumentBroken
from gateway.core.errors import PeerError
from gateway.core.guard import inspect_state_vector
from gateway.core.records import StoredDocument
from gateway.core.relay_update import cut, lacking
from gateway.ports import RelayingStore, Store
from gateway.runtime.perform import Performer
from gateway.runtime.threads import Helper

# So many documents are read at once, or so many bytes; then others have their turn.
READ_AT_ONCE = 32

Result = TypeVar("Result")
Vectors = Mapping[str, tuple[bytes, bytes]]

log = logging.getLogger("gateway.cloud")


class Shelf:
    """``store`` is used in its thread alone."""

    def __init__(self, performer: Performer, store: RelayingStore, helper: Helper) -> None:
        self.store = store
        self._performer = performer
        self._helper = helper

    async def run(self, function: Callable[[], Result]) -> Result:
        """Have something done with the store; what waits for company is not written for it."""
        return cast(Result, await self._performer.writer.call(function, commits=False))

    async def stored(self, documents: Sequence[str]) -> dict[str, StoredDocument]:
        """What is on the disk of documents."""
        found: dict[str, StoredDocument] = {}
        for first in range(0, len(documents), READ_AT_ONCE):
            some = documents[first : first + READ_AT_ONCE]
            found.update(await self.run(partial(_load, self.store, some)))
        return found

    async def asks(self, documents: Sequence[str]) -> list[Ask]:
        """For each document the question what is lacking here."""
        asks: list[Ask] = []
        for first in range(0, len(documents), READ_AT_ONCE):
            stored = await self.stored(documents[first : first + READ_AT_ONCE])
            asks += await self._helper.run(_asks, stored)
        return asks

    async def lacking(self, vectors: Vectors, limit: int) -> list[Change]:
        """What the hub lacks: by document its state vector, and the fingerprint of what it has, if
        it told. In parts of at most ``limit`` bytes; what cannot be cut so far is left out."""
        stored = await self.stored(list(vectors))
        return await self._helper.run(_lacking, stored, vectors, limit)


def _load(store: Store, documents: Sequence[str]) -> dict[str, StoredDocument]:
    return {document: store.load(document) for document in documents}


def _asks(stored: Mapping[str, StoredDocument]) -> list[Ask]:
    return [
        Ask(document.name, document.state_vector())
        for document in map(_loaded, stored.items())
        if document is not None
    ]


def _lacking(stored: Mapping[str, StoredDocument], vectors: Vectors, limit: int) -> list[Change]:
    changes: list[Change] = []
    for name, kept in stored.items():
        vector, fingerprint = vectors[name]
        document = _loaded((name, kept))
        if document is None or not document.clocks:
            continue
        try:
            inspect_state_vector(vector)
            if document.fingerprint() == fingerprint:
                continue
            update = lacking(document, vector)
        except (DocumentBroken, PeerError) as error:
            log.warning("the hub cannot be told of %s: %s", name, type(error).__name__)
            continue
        if update:
            changes += [Change(name, part) for part in cut([update], limit)]
    return changes


def _loaded(item: tuple[str, StoredDocument]) -> Document | None:
    name, stored = item
    try:
        return Document.load(name, stored.snapshot, stored.changes)
    except DocumentBroken as error:
        log.warning("%s cannot be compared with the hub: %s", name, error.sentence)
        return None
