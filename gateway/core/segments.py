"""Messages over a channel that takes 20 to 512 bytes at a time and may lose what it took.

docs/bluetooth.md, "Segments". Bluetooth LE itself is reliable; what loses, doubles or mixes up
bytes are queues above it, and a message that lost some cannot be told from another. So nothing
is sent again: what does not fit ends the link, and the session after it asks for what it lacks.
Pure; time is given.
"""

from collections import deque

from gateway.core.errors import Code, PeerError
from gateway.core.noise_transport import SEALED_BYTES
from gateway.core.varint import read_varint, write_varint

# Of one write: MTU 23 carries 20; attribute values end at 512 (Bluetooth Core, 3 F 3.2.9).
MIN_SEGMENT_BYTES = 20
MAX_SEGMENT_BYTES = 512
# Segments with data that may be under way: eight phones together stay below what the queues of
# the system bus hold (about 130).
WINDOW = 16
# Taken segments that are worth a segment of credits alone. What is lost is not credited, so at
# most WINDOW, WINDOW / GRANT and MOVED are lost one after the other: fewer than sequences.
GRANT = WINDOW // 2
# A message that goes no further, and a peer that takes nothing (Matter's BTP has the same).
PATIENCE_SECONDS = 15.0
# As much waits here before the session is asked to hold back: what comes next may be more urgent,
# and 16 segments are on their way already, which is 0.4 s of a link of 20 kB/s.
CONGESTED_BYTES = 1_024

SEQUENCE = 0x1F
START = 0x20
CREDITS = 0x40
# With START: the message that is open comes again, whole, by the other way.
MOVED = 0x80


class Segments:
    """Both directions of one link. The peer's mistakes raise ``PeerError``: close the link.

    ``limit_bytes``: the largest message taken; less before the peer is known. ``holding``: give no
    credits, as what was taken is too much already.
    """

    def __init__(self, segment_bytes: int, limit_bytes: int = SEALED_BYTES) -> None:
        """``segment_bytes``: what one write carries. Raises ``ValueError`` outside 20 to 512."""
        if not MIN_SEGMENT_BYTES <= segment_bytes <= MAX_SEGMENT_BYTES:
            raise ValueError("a segment has 20 to 512 bytes")
        self.limit_bytes = limit_bytes
        self.waiting_bytes = 0
        self.holding = False
        # Whether MOVED was written, and received.
        self.moved_out = self.moved_in = False
        self._moving = False
        self._segment_bytes = segment_bytes
        self._sending: deque[bytes] = deque()
        # How much of the first of them was written.
        self._offset = 0
        self._sent = self._received = 0
        # What we may send, what the peer may send, and what we owe it of that.
        self._ours = self._theirs = WINDOW
        self._owed = 0
        self._message = bytearray()
        self._missing = 0
        self._stalled_since: float | None = None
        self._heard = self._moved_at = 0.0

    @property
    def congested(self) -> bool:
        """Whether so much waits that the session should hold back."""
        return self.waiting_bytes > CONGESTED_BYTES

    def send(self, message: bytes) -> None:
        """Send a message after those before it; one that is empty or too large is our fault."""
        assert 0 < len(message) <= SEALED_BYTES
        assert not self._moving
        self._sending.append(message)
        self.waiting_bytes += len(message)

    def move(self) -> list[bytes]:
        """Write MOVED and nothing after it. Returns the messages that did not go whole.

        They are to go by the other way, before all others.
        """
        assert not self._moving
        rest = list(self._sending)
        self._sending.clear()
        self.waiting_bytes = 0
        self._stalled_since = None
        self._moving = True
        return rest

    def next_segment(self, now: float) -> bytes | None:
        """The next write, if there is one and the peer has room for it."""
        if self._moving:
            return self._move_out(now)
        has_data = bool(self._sending) and self._ours > 0
        if self._sending and not has_data and self._stalled_since is None:
            self._stalled_since = now
        owed = 0 if self.holding else self._owed
        if not has_data and owed < GRANT:
            return None
        header, head = self._next_sequence(), b""
        if owed:
            header |= CREDITS
            head = bytes([owed])
            self._theirs += owed
            self._owed = 0
        if has_data and not self._offset:
            header |= START
            head += write_varint(len(self._sending[0]))
        return bytes([header]) + head + (self._data(1 + len(head)) if has_data else b"")

    def receive(self, segment: bytes, now: float) -> bytes | None:
        """Take what the peer wrote; a message that is whole now.

        Raises ``PeerError`` MALFORMED or TOO_BIG.
        """
        if not segment or self.moved_in or (segment[0] & MOVED and not _is_moved(segment)):
            raise PeerError(Code.MALFORMED, "this is no segment")
        header, position = segment[0], 1
        if header & SEQUENCE != self._received:
            raise PeerError(Code.MALFORMED, "a segment is missing, doubled or out of order")
        self._received = (self._received + 1) & SEQUENCE
        self._heard = now
        if header & MOVED:
            self._move_in(now, again=bool(header & START))
            return None
        if header & CREDITS:
            position = self._credited(segment)
        if header & START:
            position = self._begin(segment, position)
        data = segment[position:]
        if data:
            return self._take(data)
        if header & START or not header & CREDITS:
            raise PeerError(Code.MALFORMED, "a segment without anything in it")
        return None

    def check(self, now: float) -> None:
        """Raises ``PeerError`` TIMEOUT when a message goes no further, in either direction."""
        since = [self._heard] if self._missing else []
        since += [self._stalled_since] if self._stalled_since is not None else []
        since += [self._moved_at] if self.moved_in is not self.moved_out else []
        if since and now - min(since) >= PATIENCE_SECONDS:
            raise PeerError(Code.TIMEOUT, "a message that goes no further")

    def _next_sequence(self) -> int:
        sequence = self._sent
        self._sent = (self._sent + 1) & SEQUENCE
        return sequence

    def _move_out(self, now: float) -> bytes | None:
        if self.moved_out:
            return None
        self.moved_out = True
        self._moved_at = now
        again = START if self._offset else 0
        return bytes([MOVED | again | self._next_sequence()])

    def _move_in(self, now: float, *, again: bool) -> None:
        if again is not bool(self._missing):
            raise PeerError(Code.MALFORMED, "a message that was not whole when the peer moved")
        self._message.clear()
        self._missing = 0
        self.moved_in = True
        self._moved_at = now

    def _data(self, head_bytes: int) -> memoryview:
        message, start = self._sending[0], self._offset
        data = memoryview(message)[start : start + self._segment_bytes - head_bytes]
        self._offset += len(data)
        if self._offset == len(message):
            self._sending.popleft()
            self._offset = 0
        self._ours -= 1
        self.waiting_bytes -= len(data)
        return data

    def _credited(self, segment: bytes) -> int:
        granted = segment[1] if len(segment) > 1 else 0
        self._ours += granted
        if granted == 0 or self._ours > WINDOW:
            raise PeerError(Code.MALFORMED, "credits for what was not sent")
        self._stalled_since = None
        return 2

    def _begin(self, segment: bytes, position: int) -> int:
        if self._missing:
            raise PeerError(Code.MALFORMED, "a message begins inside another")
        self._missing, position = read_varint(segment, position)
        if self._missing > self.limit_bytes:
            raise PeerError(Code.TOO_BIG, "a message is too large")
        return position

    def _take(self, data: bytes) -> bytes | None:
        if self._theirs == 0:
            raise PeerError(Code.MALFORMED, "a segment without a credit")
        if len(data) > self._missing:
            raise PeerError(Code.MALFORMED, "more than the message was to hold")
        self._theirs -= 1
        self._owed += 1
        self._missing -= len(data)
        self._message += data
        if self._missing:
            return None
        message = bytes(self._message)
        self._message.clear()
        return message


def _is_moved(segment: bytes) -> bool:
    return len(segment) == 1 and not segment[0] & CREDITS
