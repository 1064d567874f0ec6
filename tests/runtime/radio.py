"""A radio without air, its channels, and phones that speak to it, for tests of the runtime."""

import asyncio
from collections import deque
from collections.abc import Callable

from gateway.core.beacon import Beacon
from gateway.core.errors import PeerError
from gateway.core.noise_transport import SEALED_BYTES
from gateway.core.opening import VERSION, Opener, read_answer
from gateway.core.segments import Segments
from gateway.core.stream import Stream, framed
from gateway.ports import Phones


class FakeRadio:
    """Satisfies ``Radio``. ``takes_all``: whether there is room, asked for each notification."""

    def __init__(self) -> None:
        self.disconnected: list[str] = []
        self.places: dict[str, int] = {}
        self.wires: dict[str, list[bytes]] = {}
        self.takes_all: Callable[[], bool] = lambda: True

    @property
    def adapter(self) -> str:
        raise NotImplementedError

    def use(self, adapter: str) -> None:
        raise NotImplementedError

    async def serve(self, phones: Phones) -> None:
        raise NotImplementedError

    async def advertise(self, beacon: Beacon | None) -> None:
        raise NotImplementedError

    def notify(self, phone: str, place: int, value: bytes) -> bool:
        if not self.takes_all():
            return False
        self.places[phone] = place
        self.wires.setdefault(phone, []).append(value)
        return True

    def disconnect(self, phone: str) -> None:
        self.disconnected.append(phone)

    def taken(self, phone: str) -> list[bytes]:
        """What was notified since the last call."""
        return self.wires.pop(phone, [])


class FakeChannel:
    """Satisfies ``Channel``; its other end is ``say``, ``carry`` and ``cut``."""

    def __init__(self) -> None:
        self.closed = False
        self._up: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._down = bytearray()
        self._callback: Callable[[], None] | None = None

    async def recv(self) -> bytes:
        while not self._up and not self.closed:
            self._arrived.clear()
            await self._arrived.wait()
        return self._up.popleft() if self._up else b""

    def send(self, data: bytes) -> None:
        if not self.closed:
            self._down += data

    @property
    def waiting_bytes(self) -> int:
        return len(self._down)

    def on_room(self, callback: Callable[[], None]) -> None:
        self._callback = callback

    def close(self) -> None:
        self.closed = True
        self._arrived.set()

    def say(self, data: bytes) -> None:
        """The phone sends something."""
        if data and not self.closed:
            self._up.append(data)
            self._arrived.set()

    def carry(self, size: int) -> bytes:
        """The phone takes at most so many bytes."""
        data = bytes(self._down[:size])
        del self._down[:size]
        if data and self._callback is not None and not self.closed:
            self._callback()
        return data


class FakePhone:
    """The other side of a link. ``over``: it gave up, was refused, or was told that it is over.

    ``answered``: what was notified before that is of an earlier link.
    """

    def __init__(self, name: str, mtu: int, nonce: bytes = b"abcd") -> None:
        self.name = name
        self.mtu = mtu
        self.takes = min(mtu - 3, 512)
        self.nonce = nonce
        self.answered = False
        self.code = 0
        self.over = False
        self.given: list[bytes] = []
        self.segments = Segments(min(self.takes, 510))
        self.channel: FakeChannel | None = None
        self._stream = Stream(SEALED_BYTES)
        self._early: list[bytes] = []

    def opener(self, version: int = VERSION) -> bytes:
        return Opener(version, self.nonce, self.takes).encoded()

    def written(self, now: float) -> list[bytes]:
        """What it writes now, if it was answered."""
        if self.over or not self.answered:
            return []
        return list(iter(lambda: self.segments.next_segment(now), None))

    def send(self, message: bytes) -> None:
        if self.channel is not None:
            self.channel.say(framed(message))
        else:
            self.segments.send(message)

    def move(self, channel: FakeChannel) -> None:
        """Say what the channel is, and go on there."""
        self.channel = channel
        channel.say(b"\x01")
        for message in self.segments.move():
            channel.say(framed(message))

    def notified(self, value: bytes, now: float) -> None:
        answer = read_answer(value)
        if answer is not None and answer.nonce == self.nonce:
            if answer.refused:
                self.code, self.over = answer.number, True
            self.answered = True
        elif self.answered and not self.over:
            try:
                message = self.segments.receive(value, now)
            except PeerError:
                self.over = True
                return
            self.given.extend([message] if message is not None else [])
            if self.segments.moved_in:
                early, self._early = self._early, []
                self.streamed(b"".join(early), now)

    def streamed(self, data: bytes, now: float) -> None:
        """Take what came by the channel, once the gateway moved."""
        if not self.segments.moved_in:
            self._early.append(data)
        elif not self.over:
            try:
                self.given += self._stream.receive(data, now)
            except PeerError:
                self.over = True

    def check(self, now: float) -> None:
        try:
            self.segments.check(now)
            self._stream.check(now)
        except PeerError:
            self.over = True
