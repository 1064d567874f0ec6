"""What it may take to find out which documents peers want: steps of selectors, by address.

Steps do not depend on the machine (``gateway.core.selector``); 100,000 take about 25 ms. Who
had its share of a tick waits for the next, so that nobody else waits for its selectors.
"""

from collections import Counter

from gateway.core.session import Session

# By address, so that more links gain nothing.
STEPS_A_TICK = 100_000
# For one document all subscriptions of a link may take so many steps without being counted:
# 50 us. Plain subscriptions never take more.
FREE_STEPS = 256


class Meter:
    """Counts steps between two ticks. This device's own subscriptions (None) are not bounded."""

    def __init__(self) -> None:
        self._taken = Counter[str]()

    def allows(self, owner: Session | None) -> bool:
        """Whether more may be done for an owner in this tick."""
        return owner is None or self._taken[_host(owner)] < STEPS_A_TICK

    def take(self, owner: Session | None, steps: int) -> None:
        """So much was done for an owner."""
        if owner is not None:
            self._taken[_host(owner)] += steps

    def renew(self) -> None:
        """A tick begins."""
        self._taken.clear()


def _host(owner: Session) -> str:
    return owner.address.rpartition(":")[0]
