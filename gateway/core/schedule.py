"""In which order, and how much at a time, what waits for one link goes out. Pure.

Live changes go before history, which is what answers a state vector or compares stores. Inside
a class the collection of the higher priority goes first, and then what came first. A document
waits in one place only, so its own order is kept.
"""

from collections.abc import Iterator, Mapping

from gateway.core.names import collection_of

# Bytes of history in one message: a live change that arrives meanwhile waits for no more, 0.4 s
# on a link of 20 kB/s.
PART_BYTES = 8_192
# The same where it is deflated, to a fifth or less.
PACKED_PART_BYTES = 32_768
# What goes out at a time: an eighth of what the link took in a second, inside these bounds.
CHUNKS_A_SECOND = 8
MAX_CHUNK_BYTES = 262_144
# While live changes use up the link, one byte of eight is left to history.
LIVE_BYTES_PER_HISTORY = 7

# Class (live or not) and priority; higher ones go first.
Lane = tuple[bool, int]


class Lanes:
    """Documents that wait, each with a value."""

    __slots__ = ("_lane_of", "_lanes", "_priorities")

    def __init__(self, priorities: Mapping[str, int]) -> None:
        self._priorities = priorities
        self._lanes: dict[Lane, dict[str, bytes]] = {}
        self._lane_of: dict[str, Lane] = {}

    def __contains__(self, document: str) -> bool:
        return document in self._lane_of

    def __bool__(self) -> bool:
        return bool(self._lane_of)

    def put(self, document: str, value: bytes, *, live: bool) -> None:
        """A document waits; where it waited before it keeps its place unless its lane differs."""
        lane = live, priority(self._priorities, document)
        if self._lane_of.get(document, lane) != lane:
            self.pop(document)
        self._lane_of[document] = lane
        self._lanes.setdefault(lane, {})[document] = value

    def pop(self, document: str) -> bytes | None:
        """A document waits no more; its value, if it did."""
        lane = self._lane_of.pop(document, None)
        if lane is None:
            return None
        waiting = self._lanes[lane]
        value = waiting.pop(document)
        if not waiting:
            del self._lanes[lane]
        return value

    def clear(self) -> None:
        """Nothing waits."""
        self._lanes.clear()
        self._lane_of.clear()

    def in_order(self, *, live: bool) -> Iterator[tuple[str, bytes]]:
        """What waits in one class; ends with a change of it."""
        for lane in sorted((lane for lane in self._lanes if lane[0] is live), reverse=True):
            yield from self._lanes[lane].items()


def priority(priorities: Mapping[str, int], document: str) -> int:
    """The priority of a document; 0 unless its collection was given one."""
    return priorities.get(collection_of(document), 0) if priorities else 0


class Schedule:
    """What may go out now. ``bytes_per_second``: the budget of the peer, 0 if it has none.

    Within the budget a live change may go one second ahead of it, so that history that has used
    up a second does not hold it back; history waits until both are made up for.
    ``part_bytes``: of history in one message.
    """

    __slots__ = ("_credit", "_rate", "_sent", "_tokens", "chunk", "part_bytes")

    def __init__(self, part_bytes: int = PART_BYTES) -> None:
        self.chunk = self.part_bytes = part_bytes
        self._rate = 0
        self._tokens = 0.0
        # Bytes since the last tick, and those that history may send while live changes wait.
        self._sent = 0
        self._credit = 0.0

    def limit(self, bytes_per_second: int) -> None:
        """The peer has a budget, from now on."""
        self._rate = bytes_per_second
        self._tokens = float(bytes_per_second)

    @property
    def enough(self) -> int:
        """With so much a message is full.

        A part is cut between changes, so it is somewhat less than a chunk, and a second one would
        hold up live changes for twice as long.
        """
        return self.chunk - self.chunk // 8

    def live(self) -> bool:
        """Whether a live change may go."""
        return not self._rate or self._tokens > -self._rate

    def history(self, *, live_waits: bool) -> bool:
        """Whether history may go; ``live_waits``: live changes of this moment do not."""
        if self._rate and self._tokens <= 0:
            return False
        return not live_waits or self._credit > 0

    def sent(self, size: int, *, history: bool) -> None:
        """So much goes out; less than 0: it was deflated, and is less than was said before."""
        self._sent += size
        self._tokens -= size
        change = -size if history else size / LIVE_BYTES_PER_HISTORY
        self._credit = max(-self.chunk, min(self._credit + change, self.chunk))

    def tick(self, seconds: float, *, waits: bool) -> None:
        """Time went by; ``waits``: the link did not take everything, so it shows what it takes."""
        if waits and seconds > 0:
            chunk = round(self._sent / seconds) // CHUNKS_A_SECOND
            self.chunk = max(self.part_bytes, min(chunk, MAX_CHUNK_BYTES))
        self._sent = 0
        self._tokens = min(self._tokens + self._rate * seconds, float(self._rate))
