"""Fingerprints of the documents that exchanges are about.

They are settled when somebody asks, not at every change: a change only marks its document.
"""

from collections.abc import Callable, Iterable

from gateway.core.document import Document, DocumentBroken
from gateway.core.reconcile import Catalogue


class Inventory:
    """What this device holds, by name and fingerprint.

    ``whole`` once every stored document was noted; from then on new ones are noted by
    themselves. ``find(name)`` gives a document that is in memory; who drops one from there
    says so by ``settle`` before.
    """

    def __init__(self, find: Callable[[str], Document | None]) -> None:
        self.whole = False
        self._find = find
        self._catalogue = Catalogue()
        self._unsettled: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._unsettled or self._catalogue.holds(name.encode())

    def note(self, name: str) -> None:
        """Take a document in; it is in memory."""
        if name not in self:
            self._unsettled.add(name)

    def changed(self, name: str) -> None:
        """A document in memory changed."""
        if self.whole or name in self:
            self._unsettled.add(name)

    def settle(self, name: str) -> None:
        """Look at a document before it is dropped from memory."""
        if name not in self._unsettled:
            return
        self._unsettled.discard(name)
        document = self._find(name)
        fingerprint = b"" if document is None else _fingerprint(document)
        if fingerprint:
            self._catalogue.set(name, fingerprint)
        else:
            self._catalogue.remove(name)

    def remove(self, name: str) -> None:
        """A document is held no more."""
        self._unsettled.discard(name)
        self._catalogue.remove(name)

    def everything(self) -> Catalogue:
        """All that was noted, as it is now; it goes on changing."""
        for name in list(self._unsettled):
            self.settle(name)
        return self._catalogue

    def part(self, names: Iterable[str]) -> Catalogue:
        """Those of these documents that were noted, as they are now; it stays as it is."""
        return self.everything().part(names)


def _fingerprint(document: Document) -> bytes:
    """b"" for a document without content, or one that cannot be used."""
    try:
        return document.fingerprint() if document.clocks else b""
    except DocumentBroken:
        return b""
