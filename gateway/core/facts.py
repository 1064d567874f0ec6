"""What the guard found in sound bytes, for all who would otherwise parse them again."""

from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """Clocks ``start`` (included) to ``end`` (excluded) of one client."""

    client: int
    start: int
    end: int


class AwarenessEntry(NamedTuple):
    """One client's awareness: its clock and its state as JSON text (``null``: gone)."""

    client: int
    clock: int
    state_json: str


@dataclass(frozen=True, slots=True)
class UpdateFacts:
    """What one structurally sound Yjs v1 update holds.

    ``spans``: the structs carried (skips left out), per client contiguous and in order.
    ``deletes``: the ranges of the delete set. ``needs``: per client the clock that must be
    known before the update can be integrated whole: one past the highest clock referred
    to as origin, right origin, parent or deleted. ``roots``: names of root types written
    to. ``structs``: how many structs. ``nested``: how many shared types it makes that may
    stand inside of other ones, so by how much it can at most deepen a document.
    """

    spans: tuple[Span, ...]
    deletes: tuple[Span, ...]
    needs: dict[int, int]
    roots: frozenset[str]
    structs: int
    nested: int = 0
