"""Which repair of the radio is next, and when: one at a time, each with time to work.

The ladder begins anew after a minute of good service; each time it was climbed in vain the pauses
between repairs grow.
"""

from dataclasses import dataclass

from gateway.core.radio import INTERRUPTED, NO_DAEMON, Cause, Repair

# A repair, or an accident, is over after this; then the service is tried.
SETTLE_SECONDS = 1.0
# From one repair to the next, by how often the ladder was climbed: a controller comes back within
# 5 s; one that does not must not be shaken for ever.
PAUSE_SECONDS = (5.0, 10.0, 20.0, 30.0)
# Where only a change helps, which is noticed at once, it is looked again this often all the same.
IDLE_SECONDS = 30.0
# Whether the daemon is back shows only by a try, which shakes nothing; systemd needs a second.
TRY_SECONDS = 1.0
# Service as long as this was good, and what was wrong before is over.
GOOD_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """``repair``, or None; then wait, unless something changes, and try the service."""

    repair: Repair | None
    wait_seconds: float


class Ladder:
    """Times are seconds of one clock that only goes forward."""

    def __init__(self) -> None:
        self._tried: set[Repair] = set()
        self._climbed = 0
        self._cause: Cause | None = None
        self._repaired = 0.0
        self._quiet_until = 0.0

    def next(self, cause: Cause, now: float, *, other: bool) -> Step:
        """What to do about a cause. ``other``: there is another controller that can be used."""
        if cause is not self._cause:
            # The long pause was for another cause; a repair has its time all the same.
            self._quiet_until = min(self._quiet_until, self._repaired + PAUSE_SECONDS[0])
            self._cause = cause
        if now < self._quiet_until:
            return self._wait(self._quiet_until - now)
        if cause is INTERRUPTED:
            return Step(None, SETTLE_SECONDS)
        if not cause.repairs:
            return Step(None, IDLE_SECONDS)
        left = [repair for repair in cause.repairs if repair not in self._tried]
        if not other and Repair.OTHER_ADAPTER in left:
            left.remove(Repair.OTHER_ADAPTER)
        if not left:
            pause = self._climb()
            self._quiet_until = now + pause
            return self._wait(pause)
        return self._take(left[0], now)

    def impossible(self, now: float) -> None:
        """The repair could not be tried: the next one is due."""
        self._quiet_until = now

    def served(self, seconds: float) -> bool:
        """The service runs for so long now; whether that is good and all begins anew."""
        if seconds < GOOD_SECONDS:
            return False
        self._tried.clear()
        self._climbed, self._quiet_until = 0, 0.0
        return True

    def _wait(self, seconds: float) -> Step:
        missing = self._cause is not None and self._cause.code == NO_DAEMON
        return Step(None, min(seconds, TRY_SECONDS) if missing else seconds)

    def _take(self, repair: Repair, now: float) -> Step:
        self._repaired, self._quiet_until = now, now + self._pause
        if repair is Repair.OTHER_ADAPTER:
            # The other one gets a ladder of its own, but not sooner each time.
            self._climb()
        else:
            self._tried.add(repair)
        return Step(repair, SETTLE_SECONDS)

    def _climb(self) -> float:
        self._tried.clear()
        pause = self._pause
        self._climbed += 1
        return pause

    @property
    def _pause(self) -> float:
        return PAUSE_SECONDS[min(self._climbed, len(PAUSE_SECONDS) - 1)]
