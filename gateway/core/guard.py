"""Structural check of every byte a peer sends, before any decoder sees it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Clocks ``start`` (included) to ``end`` (excluded) of one client."""

    client: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class UpdateFacts:
    """What one structurally sound Yjs v1 update holds.

    ``spans``: the structs carried (skips left out), per client contiguous and in order.
    ``deletes``: the ranges of the delete set. ``needs``: per client the clock that must be
    known before the update can be integrated whole: one past the highest clock referred
    to as origin, right origin, parent or deleted. ``roots``: names of root types written
    to. ``structs``: how many structs.
    """

    spans: tuple[Span, ...]
    deletes: tuple[Span, ...]
    needs: dict[int, int]
    roots: frozenset[str]
    structs: int
