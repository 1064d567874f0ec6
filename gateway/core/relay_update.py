"""What of a document goes to the hub: changes that waited, as few bytes as they can be. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from gateway.core.crdt import DocumentBroken, merge, state_vector
from gateway.core.document import Document
from gateway.core.errors import PeerError
from gateway.core.records import StoredDocument
from gateway.core.split import split_update
from gateway.core.structs import SKIP, read_update
from gateway.core.surrogates import may_hold_pairs

# What waited is worth a look at the stored document from so many bytes on, if it is several
# changes: values that were overwritten meanwhile are gone there.
WORTH_BYTES: Final = 1_024
# An update that does nothing.
NOTHING: Final = b"\x00\x00"
NO_CLOCKS: Final[Mapping[int, int]] = MappingProxyType({})


def joined(updates: Sequence[bytes]) -> list[bytes]:
    """The same as few updates: one, unless that takes more care than a message is worth.

    Two that overlap may cut a character of two units, of which merging would make nonsense.
    """
    if len(updates) < 2 or any(map(may_hold_pairs, updates)):
        return list(updates)
    try:
        return [merge(updates)]
    except DocumentBroken:
        return list(updates)


def is_worth(updates: Sequence[bytes]) -> bool:
    """Whether ``shrunk`` may make changes that waited, as they are in the outbox, shorter."""
    return len(updates) > 1 and sum(map(len, updates)) > WORTH_BYTES


def shrunk(name: str, stored: StoredDocument, updates: Sequence[bytes]) -> list[bytes]:
    """Changes that waited, which are stored: what the document has since the first of them, where
    that is shorter than they are."""
    parts = joined(updates)
    try:
        whole = since(name, stored, first_clocks(updates))
    except (DocumentBroken, PeerError):
        return parts
    return [whole] if whole and len(whole) < sum(map(len, parts)) else parts


def since(name: str, stored: StoredDocument, clocks: Mapping[int, int]) -> bytes:
    """What a stored document has from these clocks on, by client, and all that was deleted; b"" if
    it has not all that is stored of it. Raises ``DocumentBroken``."""
    document = Document.load(name, stored.snapshot, stored.changes)
    if document.early:
        # What waits for something else is not in it.
        return b""
    return document.diff(state_vector({**document.clocks, **clocks}))


def lacking(document: Document, known: bytes) -> bytes:
    """What who has this state vector lacks of a document; b"" if that is nothing.

    May raise ``DocumentBroken``.
    """
    update = document.diff(known)
    return b"" if update == NOTHING else update


def cut(updates: Sequence[bytes], limit: int) -> list[bytes]:
    """Parts of updates of at most ``limit`` bytes; empty if one cannot be cut so far."""
    parts = [part for update in updates for part in split_update(update, limit)]
    return parts if all(len(part) <= limit for part in parts) else []


def first_clocks(updates: Iterable[bytes], known: Mapping[int, int] = NO_CLOCKS) -> dict[int, int]:
    """By client the lowest clock of which there is a struct, or which is ``known`` to be.

    Raises ``PeerError``.
    """
    clocks = dict(known)
    for update in updates:
        for struct in read_update(update).structs:
            if struct.reference != SKIP:
                clocks[struct.client] = min(struct.clock, clocks.get(struct.client, struct.clock))
    return clocks
