"""How many documents small peers are given of what they subscribed to (docs/limits.md). Pure.

A peer tells its budget in HELLO. What matches beyond it is not opened to it, and it is told so.
"""

from collections import defaultdict

from gateway.core.errors import Code
from gateway.core.names import collection_of
from gateway.core.session import Session


class DocumentBudgets:
    """What matches for each peer that has a budget, and what of it is over."""

    def __init__(self) -> None:
        self._taken: defaultdict[Session, set[str]] = defaultdict(set)
        self._over: defaultdict[Session, set[str]] = defaultdict(set)
        # Collections of which a peer was told that not all of it fits.
        self._told: defaultdict[Session, set[str]] = defaultdict(set)

    def matches(self, session: Session, document: str) -> None:
        """A document matches what a peer subscribed to: it has room, or the peer is told."""
        most = session.allowance.documents
        if not most or document in self._taken[session]:
            return
        if len(self._taken[session]) < most:
            self._taken[session].add(document)
            self._over[session].discard(document)
            return
        self._over[session].add(document)
        collection = collection_of(document)
        if collection not in self._told[session]:
            self._told[session].add(collection)
            reason = f"more documents match than this device's budget of {most}"
            session.deny(collection, Code.QUOTA, reason)

    def refuses(self, session: Session, document: str) -> bool:
        """Whether a document is over the budget of a peer."""
        return document in self._over.get(session, ())

    def left(self, session: Session, document: str) -> None:
        """A document matches no more."""
        if session.allowance.documents:
            self._taken[session].discard(document)
            self._over[session].discard(document)

    def forget(self, session: Session) -> None:
        """A peer goes, or changes what it subscribes to: it is told anew."""
        self._told.pop(session, None)

    def leave(self, session: Session) -> None:
        """A link is gone."""
        self.forget(session)
        self._taken.pop(session, None)
        self._over.pop(session, None)
