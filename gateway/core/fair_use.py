"""How long a worker of a hub works for each store, and who is over what is fair. Pure.

A few hundred bytes can be work for a tenth of a second. Who sends them all the time must not have
all of the worker while others wait.
"""

from itertools import islice
from typing import Final

# What a store has at first, and at most: 1,200 messages with 50 changes each, as after an outage.
CREDIT_SECONDS: Final = 5.0
# What it gets back in a second: so much of a worker one store may have all the time.
SHARE: Final = 0.25
# Who is alone is not held back: nobody else was heard for so long. Gateways compare twice as often.
ALONE_SECONDS: Final = 3_600.0
# Beyond this the store longest unseen is forgotten.
MAX_STORES: Final = 10_000


class FairUse:
    """By store; ``now`` is in seconds since some fixed moment."""

    def __init__(self) -> None:
        # Credit in seconds, below 0 what is owed, and when that was.
        self._credit: dict[str, tuple[float, float]] = {}

    def is_over(self, store: str, now: float) -> bool:
        """Whether a store has had more than its part, and is not alone."""
        return self._left(store, now) <= 0 and not self._is_alone(store, now)

    def spend(self, store: str, seconds: float, now: float) -> None:
        """So long was worked for a store, until now."""
        left = self._left(store, now) - seconds
        self._credit.pop(store, None)
        self._credit[store] = (left, now)
        if len(self._credit) > MAX_STORES:
            del self._credit[next(iter(self._credit))]

    def _is_alone(self, store: str, now: float) -> bool:
        """The last of them stands last; so of the last two one is another."""
        last = islice(reversed(self._credit.items()), 2)
        heard = [then for other, (_, then) in last if other != store]
        return not heard or now - heard[0] >= ALONE_SECONDS

    def _left(self, store: str, now: float) -> float:
        credit, then = self._credit.get(store, (CREDIT_SECONDS, now))
        return min(CREDIT_SECONDS, credit + SHARE * (now - then))
