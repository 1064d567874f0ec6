"""A link of a phone: by GATT at first, or by an L2CAP channel, to which it may move."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.core.errors import Code, PeerError
from gateway.core.noise_transport import SEALED_BYTES
from gateway.core.segments import CONGESTED_BYTES
from gateway.core.stream import Stream
from gateway.ports import Channel, Clock
from gateway.runtime.phone_carriers import Notifications, Packets

# The largest message before the peer is known.
STRANGER_BYTES = 4_096
# Messages that wait to be served; then the phone is given no credits, and its channel not read.
INBOX_BYTES = 524_288
# What a waiting message costs beside its bytes, so that a flood of tiny ones is held back too.
MESSAGE_OVERHEAD_BYTES = 256
# What waits when a link is closed, the goodbye above all, gets this long.
LINGER_SECONDS = 2.0
# A sealed PING has less, and is no sign that a phone needs its link.
SIGN_OF_LIFE_BYTES = 32


class _Owner(Protocol):
    """Who made a link."""

    def heard(self, link: "PhoneLink") -> None:
        """A message that is no mere sign of life was exchanged."""

    def over(self, link: "PhoneLink", code: int | None) -> None:
        """Nothing comes or goes any more. ``code``: what the phone is to be told, if anything."""


class PhoneLink:
    """Satisfies ``Link``. Begins with ``by_gatt`` or ``by_channel``."""

    def __init__(self, phone: str, owner: _Owner, clock: Clock) -> None:
        self.phone = phone
        self.address = f"bluetooth {phone}"
        # See ``Link``.
        self.congested = False
        self.local = ""
        self.is_over = False
        self._owner = owner
        self._clock = clock
        self._notifications: Notifications | None = None
        self._packets: Packets | None = None
        self._channel: Channel | None = None
        self._stream = Stream(STRANGER_BYTES)
        self._inbox: list[bytes] = []
        self._inbox_bytes = 0
        self._arrived, self._taken = asyncio.Event(), asyncio.Event()
        # Whether the channel may be read.
        self._moved = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._writable_callback: Callable[[], None] | None = None
        # Why and since when the link is closed, perhaps with something still to send.
        self._closed: int | None = None
        self._closed_at = 0.0

    @property
    def has_opener(self) -> bool:
        """Whether the phone opened it by GATT."""
        return self._notifications is not None

    def by_gatt(self, notifications: Notifications) -> None:
        """Begin with segments."""
        self._notifications = notifications
        notifications.segments.limit_bytes = STRANGER_BYTES
        self.room()

    def by_channel(self, channel: Channel) -> None:
        """Begin with a channel of its own, which is read by ``read``."""
        self._go_to(channel)

    def attach(self, channel: Channel) -> bool:
        """Move to a channel once the phone does, and ``read`` it; False: not this one."""
        if self._notifications is None or self._channel is not None or self._closed is not None:
            return False
        self._channel = channel
        self._move()
        self.room()
        return True

    def enrolled(self) -> None:
        """The peer is known."""
        self._stream.limit_bytes = SEALED_BYTES
        if self._notifications is not None:
            self._notifications.segments.limit_bytes = SEALED_BYTES

    def round_trip_ms(self) -> float | None:
        """See ``Link``."""
        return None

    async def recv(self) -> list[bytes]:
        """See ``Link``."""
        while not self._inbox and self._closed is None:
            self._arrived.clear()
            await self._arrived.wait()
        batch, self._inbox, self._inbox_bytes = self._inbox, [], 0
        self._weigh_inbox()
        return batch

    def send(self, data: bytes) -> None:
        """See ``Link``."""
        if self._closed is not None:
            return
        way = self._packets or self._notifications
        assert way is not None
        way.send(data)
        self._tell_heard(data)
        self.room()

    async def writable(self) -> None:
        """See ``Link``."""
        await self._room.wait()

    def on_writable(self, callback: Callable[[], None]) -> None:
        """See ``Link``."""
        self._writable_callback = callback

    def close(self, code: int, reason: str) -> None:
        """See ``Link``. The sentence is the session's to say; the phone is told the code."""
        if self._closed is None:
            self._inbox = []
            self._shut(code)
            self.room()

    def gone(self) -> None:
        """The phone is not there any more, or has another link."""
        self._end(None)

    def written(self, segment: bytes) -> None:
        """The phone wrote something that is no opener."""
        if self.is_over or self._notifications is None:
            return
        try:
            message = self._notifications.segments.receive(segment, self._clock.monotonic())
        except PeerError as error:
            self._end(error.code)
            return
        if message is not None:
            self._take(message)
        self._move()
        self.room()

    def room(self) -> None:
        """Send what can go, as the radio or the channel may have room, and tell who waits."""
        if self.is_over:
            return
        if self._notifications is not None:
            self._notifications.pump()
        waiting = sum(way.waiting_bytes for way in (self._notifications, self._packets) if way)
        if self._closed is not None:
            if not waiting:
                self._end(self._closed)
            return
        congested = waiting > CONGESTED_BYTES
        if congested is self.congested:
            return
        self.congested = congested
        if congested:
            self._room.clear()
        else:
            self._room.set()
            if self._writable_callback is not None:
                self._writable_callback()

    def repeat_answer(self) -> None:
        """The phone wrote its opener again."""
        if self._notifications is not None:
            self._notifications.repeat_answer()
            self.room()

    async def read(self, channel: Channel, data: bytes) -> None:
        """Take what comes by the channel, ``data`` first, until it or the link is over."""
        data = data or await channel.recv()
        if not data and not self._moved.is_set():
            # It broke before the phone moved: the link goes on as it was.
            self._channel = None
        else:
            await self._moved.wait()
            while data and not self.is_over:
                self._receive(data)
                while self._inbox_bytes > INBOX_BYTES:
                    self._taken.clear()
                    await self._taken.wait()
                data = await channel.recv()
            self.gone()
        channel.close()

    def check(self, now: float) -> None:
        """Let time pass."""
        if self._closed is not None:
            if now - self._closed_at >= LINGER_SECONDS:
                self._end(self._closed)
            return
        try:
            self._stream.check(now)
            for way in (self._notifications, self._packets):
                if way is not None:
                    way.check(now)
        except PeerError as error:
            self._end(error.code)

    def _receive(self, data: bytes) -> None:
        try:
            messages = self._stream.receive(data, self._clock.monotonic())
        except PeerError as error:
            self._end(error.code)
            return
        for message in messages:
            self._take(message)

    def _take(self, message: bytes) -> None:
        if self._closed is not None:
            return
        self._inbox.append(message)
        self._inbox_bytes += len(message) + MESSAGE_OVERHEAD_BYTES
        self._arrived.set()
        self._tell_heard(message)
        self._weigh_inbox()

    def _weigh_inbox(self) -> None:
        full = self._inbox_bytes > INBOX_BYTES
        if not full:
            self._taken.set()
        if self._notifications is not None and self._notifications.segments.holding is not full:
            self._notifications.segments.holding = full
            self.room()

    def _move(self) -> None:
        """Go on by the channel, if there is one and the phone does."""
        assert self._notifications is not None
        segments = self._notifications.segments
        if segments.moved_in and self._channel is not None and self._packets is None:
            packets = self._go_to(self._channel)
            for message in segments.move():
                packets.send(message)

    def _go_to(self, channel: Channel) -> Packets:
        self._channel = channel
        self._packets = Packets(channel, self._clock.monotonic())
        channel.on_room(self.room)
        self._moved.set()
        return self._packets

    def _shut(self, code: int) -> None:
        """Nothing more is handed over or taken to be sent."""
        self._closed, self._closed_at = code, self._clock.monotonic()
        self.congested = False
        self._inbox_bytes = 0
        self._arrived.set()
        self._room.set()
        self._weigh_inbox()

    def _end(self, code: int | None) -> None:
        if self.is_over:
            return
        self.is_over = True
        if self._closed is None:
            self._shut(Code.GOING_AWAY if code is None else code)
        self._moved.set()
        self._taken.set()
        if self._channel is not None:
            self._channel.close()
        self._owner.over(self, code)

    def _tell_heard(self, message: bytes) -> None:
        if len(message) > SIGN_OF_LIFE_BYTES:
            self._owner.heard(self)
