"""The two ways the messages of a phone's link go: segments by GATT, and an L2CAP channel."""

from collections.abc import Callable

from gateway.core.errors import Code, PeerError
from gateway.core.segments import PATIENCE_SECONDS, Segments
from gateway.core.stream import framed
from gateway.ports import Channel, Radio

Now = Callable[[], float]


class Notifications:
    """Segments of one link to a phone, by the TX of its place, as the radio has room."""

    def __init__(
        self, radio: Radio, phone: str, place: int, segments: Segments, now: Now, answer: bytes
    ) -> None:
        """``answer`` goes before all segments, and again with ``repeat_answer``."""
        self.segments = segments
        self._radio = radio
        self._phone = phone
        self._place = place
        self._now = now
        self._answer = answer
        self._answer_is_due = True
        # What there was no room for.
        self._held_up: bytes | None = None
        self._held_up_since = 0.0

    @property
    def waiting_bytes(self) -> int:
        """What was sent and the radio did not take."""
        return self.segments.waiting_bytes + len(self._held_up or b"")

    def send(self, message: bytes) -> None:
        """Send a message; it goes with ``pump``."""
        self.segments.send(message)

    def repeat_answer(self) -> None:
        """The phone did not get the answer, as it seems."""
        self._answer_is_due = True

    def pump(self) -> None:
        """Send what the phone and the radio have room for."""
        while (value := self._held_up or self._next()) is not None:
            if not self._radio.notify(self._phone, self._place, value):
                if self._held_up is None:
                    self._held_up, self._held_up_since = value, self._now()
                return
            self._held_up = None

    def check(self, now: float) -> None:
        """Raises ``PeerError`` TIMEOUT when it goes no further."""
        self.segments.check(now)
        if self._held_up is not None and now - self._held_up_since >= PATIENCE_SECONDS:
            raise PeerError(Code.TIMEOUT, "the phone takes nothing")

    def _next(self) -> bytes | None:
        if self._answer_is_due:
            self._answer_is_due = False
            return self._answer
        return self.segments.next_segment(self._now())


class Packets:
    """Messages to a phone over a channel."""

    def __init__(self, channel: Channel, now: float) -> None:
        self._channel = channel
        self._sent_bytes = 0
        self._gone_bytes = 0
        self._gone_at = now

    @property
    def waiting_bytes(self) -> int:
        """What was sent and is not on its way."""
        return self._channel.waiting_bytes

    def send(self, message: bytes) -> None:
        """Send a message after those before it."""
        data = framed(message)
        self._sent_bytes += len(data)
        self._channel.send(data)

    def check(self, now: float) -> None:
        """Raises ``PeerError`` TIMEOUT when it goes no further."""
        waiting = self._channel.waiting_bytes
        gone = self._sent_bytes - waiting
        if not waiting or gone > self._gone_bytes:
            self._gone_bytes, self._gone_at = gone, now
        elif now - self._gone_at >= PATIENCE_SECONDS:
            raise PeerError(Code.TIMEOUT, "the phone takes nothing")
