"""Structural check of every byte a peer sends, before any decoder sees it (invariant 1).

One iterative walk over a Yjs v1 update, state vector or awareness update: every count is
checked against the bytes left, every length and clock against a cap, and the bytes must
be used up exactly. The walk also yields what the rest needs, so nothing is parsed twice.
Layouts: Yjs ``readClientsStructRefs``, ``readItemContent``, ``readDeleteSet`` and lib0
``readAny``; y-protocols ``applyAwarenessUpdate``. V2 encodings are never accepted.
"""

from gateway.core.contents import cut_off, read_text
from gateway.core.errors import Code, PeerError
from gateway.core.facts import AwarenessEntry, Span, UpdateFacts
from gateway.core.json_text import check_json
from gateway.core.limits import Limits
from gateway.core.varint import read_varint
from gateway.core.walk import Walk, deepest_nesting

__all__ = [
    "AwarenessEntry", "Limits", "Span", "UpdateFacts", "deepest_nesting",
    "inspect_awareness", "inspect_state_vector", "inspect_update",
]  # fmt: skip

DEFAULT_LIMITS = Limits()


def inspect_update(data: bytes, limits: Limits = DEFAULT_LIMITS) -> UpdateFacts:
    """Check a Yjs v1 update and say what it holds.

    Raises ``PeerError``: TOO_BIG for what is above a cap, else MALFORMED.
    """
    if len(data) > limits.message_bytes:
        raise PeerError(Code.TOO_BIG, f"an update above {limits.message_bytes} bytes")
    walk = Walk(data, limits)
    walk.whole()
    return UpdateFacts(
        tuple(walk.spans), tuple(walk.deletes), walk.needs, frozenset(walk.roots),
        walk.structs, walk.nested,
    )  # fmt: skip


def inspect_state_vector(data: bytes, limits: Limits = DEFAULT_LIMITS) -> dict[int, int]:
    """Check a state vector; returns the clock per client. Raises ``PeerError``."""
    count, position = read_varint(data, 0)
    if count > limits.vector_clients or 2 * count > len(data) - position:
        raise PeerError(Code.MALFORMED, "a state vector claims too many clients")
    clocks: dict[int, int] = {}
    for _ in range(count):
        client, position = read_varint(data, position)
        clock, position = read_varint(data, position)
        if clock > limits.clock or client in clocks:
            raise PeerError(Code.MALFORMED, "a state vector is out of bounds")
        clocks[client] = clock
    if position != len(data):
        raise PeerError(Code.MALFORMED, "a state vector has bytes after its end")
    return clocks


def inspect_awareness(data: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[AwarenessEntry, ...]:
    """Check an awareness update; returns its entries. Raises ``PeerError``."""
    try:
        return tuple(_awareness_entries(data, limits))
    except IndexError:
        raise cut_off() from None


def _awareness_entries(data: bytes, limits: Limits) -> list[AwarenessEntry]:
    count, position = read_varint(data, 0)
    if count > limits.awareness_entries or 3 * count > len(data) - position:
        raise PeerError(Code.MALFORMED, "awareness claims too many clients")
    entries = []
    for _ in range(count):
        client, position = read_varint(data, position)
        clock, position = read_varint(data, position)
        state, position = read_text(data, position, limits.awareness_state_bytes)
        if clock > limits.clock:
            raise PeerError(Code.MALFORMED, "awareness is out of bounds")
        check_json(state, limits.nesting)
        entries.append(AwarenessEntry(client, clock, state))
    if position != len(data):
        raise PeerError(Code.MALFORMED, "awareness has bytes after its end")
    return entries
