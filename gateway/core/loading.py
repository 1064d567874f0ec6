"""How much of a stored document may be shown to the CRDT library, by what it would cost. Pure.

The guard sees each change alone. Some hundred bytes of small ones, each within its limits, can
together make the library look at millions of neighbours, or nest types so deep that it ends the
process (docs/limits.md). A worker of a hub has documents of many stores: none is to hold it up.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gateway.core.crdt import merge
from gateway.core.errors import GatewayError, PeerError
from gateway.core.limits import UNLIMITED, Limits
from gateway.core.records import StoredDocument
from gateway.core.walk import judge_state

# Up to here nothing costs much: 2,700 structs in the worst order take 0.5 s.
SMALL_BYTES: Final = 16_384
# Of a whole document: about 0.4 s of ordering, and as much of cutting (``Limits``); a third of the
# levels that end the process.
LIMITS: Final = replace(UNLIMITED, order_steps=1_500_000, cut_units=100_000_000, nesting=10_000)
# Parts that are looked at until one is found that may be loaded.
MAX_TRIES: Final = 5


def affordable(stored: StoredDocument, limits: Limits = LIMITS) -> int:
    """How many of the changes, from the first on, may be loaded with the snapshot; -1: not even
    that may be."""
    changes = stored.changes
    size = len(stored.snapshot) + sum(map(len, changes))
    if size <= SMALL_BYTES or _is_cheap(stored.snapshot, changes, limits):
        return len(changes)
    fits, too_many = -1, len(changes)
    for _ in range(MAX_TRIES):
        if too_many - fits <= 1:
            break
        middle = (fits + too_many) // 2
        if _is_cheap(stored.snapshot, changes[:middle], limits):
            fits = middle
        else:
            too_many = middle
    return 0 if fits < 0 < too_many and _is_cheap(stored.snapshot, (), limits) else fits


def _is_cheap(snapshot: bytes, changes: Sequence[bytes], limits: Limits) -> bool:
    parts = [part for part in (snapshot, *changes) if part]
    try:
        if parts:
            judge_state(merge(parts), limits)
    except (GatewayError, PeerError):
        return False
    return True
