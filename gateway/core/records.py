"""What goes to the store and comes back: plain values, known to core and adapters alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# Who brought what came from the cloud: it is not sent there again.
CLOUD: Final = "cloud"
# Of what waits of one document, at once in memory; a row more when that alone is larger.
MOST_READ_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class Change:
    """An accepted update on its way to the disk."""

    document: str
    update: bytes
    peer: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """An update that was refused and is kept for inspection; never applied."""

    document: str
    update: bytes
    peer: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What the disk holds of one document.

    ``snapshot`` is a Yjs v1 update or empty; ``changes`` follow it in the order of
    their sequence numbers.
    """

    snapshot: bytes
    changes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row of a document: its place in the store's log, who brought it ("": not kept), bytes.

    A snapshot stands for all that came before it.
    """

    sequence: int
    peer: str
    size: int
    snapshot: bool = False


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """Figures about the store for the status page; sizes in bytes."""

    documents: int
    changes: int
    snapshots: int
    quarantined: int
    file_bytes: int
    last_sequence: int
    usage: Mapping[str, int]
    recovered: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of one document waits for the cloud: updates in their order, the last one's number;
    whether there are ``more`` behind it."""

    last: int
    updates: tuple[bytes, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """Figures about what waits for the cloud. ``left``: what came is compared later instead;
    ``waited``: for how many seconds the oldest did, at least."""

    documents: int
    bytes: int
    left: bool
    waited: int = 0
