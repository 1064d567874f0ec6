"""What a radio does to packets, as a plan: when each leaves and arrives, if it arrives at all.

Pure and repeatable: the same seed, name, packets and times give the same plan.
"""

import random
from dataclasses import dataclass, replace

# Two packets of one way never arrive at the same moment: a timer queue does not keep their order.
STEP_SECONDS = 1e-6


@dataclass(frozen=True)
class Conditions:
    """What happens between two ends, each way alike. Clear air by default.

    ``loss`` and ``duplicates`` are shares from 0 to 1 of all packets, ``delay`` is in seconds, of
    ``jitter`` as many more at most; ``rate`` is bytes a second, none for no limit. Order is kept,
    as a Bluetooth link keeps it.
    """

    loss: float = 0.0
    duplicates: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    rate: float | None = None

    def of_broadcast(self) -> "Conditions":
        """The same for advertisements, which wait for no link to be free."""
        return replace(self, rate=None, duplicates=0.0)


@dataclass(frozen=True)
class Plan:
    """When a packet has left its sender, and when it arrives: never, once or twice."""

    left: float
    arrivals: tuple[float, ...]


class Way:
    """One direction between two ends."""

    def __init__(self, name: str, seed: int) -> None:
        self._random = random.Random(f"{seed} {name}")
        self._free = 0.0
        self._last = 0.0

    def send(self, size: int, now: float, conditions: Conditions) -> Plan:
        """Plan a packet of ``size`` bytes that is given to the radio at ``now``."""
        chance, again, more = (self._random.random() for _ in range(3))
        if conditions.rate is not None:
            self._free = max(self._free, now) + size / conditions.rate
        left = max(self._free, now)
        if chance < conditions.loss:
            return Plan(left, ())
        copies = 2 if again < conditions.duplicates else 1
        arrival = left + conditions.delay + more * conditions.jitter
        return Plan(left, tuple(self._after_the_last(arrival) for _ in range(copies)))

    def restart(self) -> None:
        """Begin a new link, which waits for nothing that the one before it sent."""
        self._free = self._last = 0.0

    def _after_the_last(self, arrival: float) -> float:
        self._last = max(arrival, self._last + STEP_SECONDS)
        return self._last
