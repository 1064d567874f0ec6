"""Figures of several rounds: middle and spread, and ratios taken round by round."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, and the lowest and highest of them."""

    median: float
    low: float
    high: float


def percentile(values: Sequence[float], part: float) -> float:
    """The value that ``part`` (0 to 1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value; the median of two is their mean."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle]
    if len(ordered) % 2 == 0:
        median = (ordered[middle - 1] + median) / 2
    return Spread(median, ordered[0], ordered[-1])


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Round by round, so that what disturbed the machine in a round disturbed both.

    Rounds that one side did not finish, or in which the other has 0, are left out.
    """
    return [a / b for a, b in zip(ours, theirs, strict=False) if b]


def figure(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 1_000:
        digits = len(str(int(abs(value)))) - 3
        return f"{round(value / 10**digits) * 10**digits:,}"
    if abs(value) < 0.0005:
        return "0"
    return f"{value:.3g}"
