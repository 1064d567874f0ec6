"""Which space the documents of a store are in: its own, or one that several stores share.

docs/hub.md. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.core.cloud_records import SHARE
from gateway.core.names import collection_of

EVERY: Final = "*"


@dataclass(frozen=True, slots=True)
class Share:
    """Collections that these stores have in common; ids in hex, ``EVERY`` for all there are.

    Only ``writers`` among the ``stores`` may change what is in them.
    """

    name: str
    collections: tuple[str, ...]
    stores: tuple[str, ...]
    writers: tuple[str, ...]

    @property
    def space(self) -> str:
        """Where its documents are."""
        return SHARE + self.name


class Shares:
    """All shares of a hub; no two have both a store and a collection in common (``overlap``)."""

    def __init__(self, shares: Sequence[Share] = ()) -> None:
        self._by_collection: dict[str, list[Share]] = {}
        self._by_space = {share.space: share for share in shares}
        for share in shares:
            for collection in share.collections:
                self._by_collection.setdefault(collection, []).append(share)

    def space(self, store: str, document: str) -> str:
        """Where a document of a store is."""
        share = self._of(store, collection_of(document))
        return store if share is None else share.space

    def may_write(self, store: str, document: str) -> bool:
        """Whether gateways of a store may change a document."""
        share = self._of(store, collection_of(document))
        return share is None or _names(share.writers, store)

    def spaces(self, store: str) -> dict[str, tuple[str, ...]]:
        """The shared spaces that a store takes part in, with their collections."""
        return {
            space: share.collections
            for space, share in self._by_space.items()
            if _names(share.stores, store)
        }

    def stores(self, space: str) -> Sequence[str] | None:
        """The stores that a space is of; None for all. Nobody for a share that is no more."""
        if not space.startswith(SHARE):
            return (space,)
        share = self._by_space.get(space)
        if share is None:
            return ()
        return None if EVERY in share.stores else share.stores

    def is_in(self, space: str, document: str) -> bool:
        """Whether a document belongs in a space."""
        if not space.startswith(SHARE):
            return self.space(space, document) == space
        share = self._by_space.get(space)
        return share is not None and collection_of(document) in share.collections

    def _of(self, store: str, collection: str) -> Share | None:
        for share in self._by_collection.get(collection, ()):
            if _names(share.stores, store):
                return share
        return None


def overlap(shares: Sequence[Share]) -> str:
    """Two shares of the same store and collection, in words; "" if there are none."""
    for index, one in enumerate(shares):
        for other in shares[index + 1 :]:
            if one.name == other.name:
                return f"two shares are called {one.name}"
            common = sorted(set(one.collections) & set(other.collections))
            if common and _meet(one.stores, other.stores):
                return f"{common[0]} is shared twice by the same stores: {one.name}, {other.name}"
    return ""


def _meet(some: Sequence[str], others: Sequence[str]) -> bool:
    return EVERY in (*some, *others) or bool(set(some) & set(others))


def _names(stores: Sequence[str], store: str) -> bool:
    return EVERY in stores or store in stores
