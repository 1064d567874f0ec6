"""How long a worker of a hub works for each store, and who is over what is fair. Pure.

A few hundred bytes can be work for a tenth of a second. Who sends them all the time must not have
all of the worker while others wait.
"""

from typing import Final

# What a store has at first, and at most: 2,500 messages with 50 changes each, as after an outage.
CREDIT_SECONDS: Final = 10.0
# What it gets back in a second: so much of a worker one store may have all the time.
SHARE: Final = 0.25
# Beyond this the store longest unseen is forgotten.
MAX_STORES: Final = 10_000


class FairUse:
    """By store; ``now`` is in seconds since some fixed moment."""

    def __init__(self) -> None:
        # Credit in seconds, below 0 what is owed, and when that was.
        self._credit: dict[str, tuple[float, float]] = {}

    def is_over(self, store: str, now: float) -> bool:
        """Whether a store has had more than its part."""
        return self._left(store, now) <= 0

    def spend(self, store: str, seconds: float, now: float) -> None:
        """So long was worked for a store, until now."""
        left = self._left(store, now) - seconds
        self._credit.pop(store, None)
        self._credit[store] = (left, now)
        if len(self._credit) > MAX_STORES:
            del self._credit[next(iter(self._credit))]

    def _left(self, store: str, now: float) -> float:
        credit, then = self._credit.get(store, (CREDIT_SECONDS, now))
        return min(CREDIT_SECONDS, credit + SHARE * (now - then))
