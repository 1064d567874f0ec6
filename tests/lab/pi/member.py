"""A member of a store on a phone: the real session and hub over GATT, as docs/bluetooth.md says."""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from bumble.core import InvalidStateError, ProtocolError
from bumble.hci import Address

from gateway.core import messages as m
from gateway.core.allowance import Terms
from gateway.core.entrance import Calling, PairingSecret
from gateway.core.errors import PeerError
from gateway.core.events import Delivered, MemberEvent, MembershipGained
from gateway.core.handshake import LocalPeer
from gateway.core.membership import Keys, Membership
from gateway.core.mesh_session import MeshSession
from gateway.core.opening import (
    INFO,
    RX,
    SERVICE,
    TX,
    VERSION,
    Info,
    Opener,
    read_answer,
    read_info,
)
from gateway.core.pairing import PairRequest
from gateway.core.primitives import KEY_BYTES, KeyPair
from gateway.core.segments import Segments
from gateway.core.session import State
from gateway.core.stream import Stream, framed
from tests.core.devices import ALL, Device
from tests.core.sessions import FromHub
from tests.lab.pi.air import Air
from tests.lab.pi.channel import Channel
from tests.lab.pi.phone import MTU, Phone

FEATURES = ALL | m.FEATURE_DEFLATE | m.FEATURE_STATE
ANSWER_SECONDS = 10.0
# A session says something more often.
SILENCE_SECONDS = 60.0
# ATT's header, and where values end; BlueZ 5.66 takes 510.
ATT_BYTES = 3
MOST_BYTES = 510
TICK_SECONDS = 1.0
# A segment of credits alone.
CREDITS_BYTES = 2
# What a channel says first: the link by GATT goes on there.
MOVES = b"\x01"


class Refused(AssertionError):
    """The gateway did not open a link; ``code`` says why."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the gateway refused the link with {code}")
        self.code = code


class GattLink:
    """The phone's side of a link by GATT, which may move to a channel.

    ``written_bytes``, ``notified_bytes``: values of attributes, and what went by a channel;
    ``writes`` and ``notifications``: segments with data.
    """

    def __init__(self, phone: Phone, segments: Segments) -> None:
        self._phone = phone
        self._segments = segments
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._writing: asyncio.Future[None] | None = None
        self._channel: Channel | None = None
        self._by_channel: deque[bytes] = deque()
        self._reading: asyncio.Future[None] | None = None
        # Whether the gateway moved, too.
        self._moved = asyncio.Event()
        # Called when something was written and more may be sent.
        self.on_room: Callable[[], None] = lambda: None
        self.written_bytes = self.notified_bytes = 0
        self.writes = self.notifications = 0

    @classmethod
    async def open(cls, phone: Phone, info: Info, mtu: int) -> Self:
        """Write the opener on a connected phone; segments may follow at once.

        Raises ``Refused``, as ``answered`` does later.
        """
        if not info.place:
            raise Refused(4429)
        opener = Opener(VERSION, os.urandom(4), mtu - ATT_BYTES)
        link = cls(phone, Segments(min(mtu - ATT_BYTES, MOST_BYTES)))
        answered = link.answered

        def notified(value: bytes) -> None:
            answer = read_answer(value)
            ended = answer is not None and answer.nonce == opener.nonce and answer.refused
            if answered.done() and ended:
                link.close()
            elif answered.done():
                link.take(value)
            elif answer is not None and answer.nonce == opener.nonce:
                if answer.refused:
                    answered.set_exception(Refused(answer.number))
                else:
                    answered.set_result(answer.number)

        await phone.listen(TX[info.place - 1], notified)
        await phone.write(RX, opener.encoded(), answered=False)
        return link

    def take(self, value: bytes) -> None:
        """A notification came."""
        self.notified_bytes += len(value)
        self.notifications += len(value) > CREDITS_BYTES
        try:
            message = self._segments.receive(value, self._now())
        except PeerError:
            self.close()
            return
        if message is not None:
            self._inbox.put_nowait(message)
        if self._segments.moved_in:
            self._moved.set()
        self._flush()

    def send(self, message: bytes) -> None:
        """Send a message after those before it."""
        if self._channel is None:
            self._segments.send(message)
        else:
            self._by_channel.append(framed(message))
        self._flush()

    async def move(self, channel: Channel) -> None:
        """Go on by a channel; returns once the gateway does so, too."""
        await channel.write(MOVES)
        self._channel = channel
        self._by_channel.extend(framed(message) for message in self._segments.move())
        self._flush()
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._moved.wait()
        self._reading = asyncio.ensure_future(self._read(channel))

    async def _read(self, channel: Channel) -> None:
        stream = Stream()
        while data := await channel.read(SILENCE_SECONDS):
            self.notified_bytes += len(data)
            for message in stream.receive(data, self._now()):
                self._inbox.put_nowait(message)

    def _flush(self) -> None:
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        """Write what may be written; a connection that is lost ends the link."""
        try:
            while await self._wrote():
                if not self.congested:
                    self.on_room()
        except (ProtocolError, InvalidStateError):
            self.close()

    async def _wrote(self) -> bool:
        """Whether there was anything to write."""
        before = self.written_bytes
        while (segment := self._segments.next_segment(self._now())) is not None:
            self.written_bytes += len(segment)
            self.writes += len(segment) > CREDITS_BYTES
            await self._phone.write(RX, segment, answered=False)
        while self._channel is not None and self._by_channel:
            self.written_bytes += len(self._by_channel[0])
            await self._channel.write(self._by_channel.popleft())
        return self.written_bytes > before

    @property
    def congested(self) -> bool:
        """Whether the session should hold back."""
        return self._segments.congested or len(self._by_channel) > 1

    async def recv(self) -> bytes | None:
        """The next message; None once the link is closed."""
        return await self._inbox.get()

    def check(self) -> None:
        """Let time pass."""
        try:
            self._segments.check(self._now())
        except PeerError:
            self.close()

    def close(self) -> None:
        """Nothing is said any more."""
        if self._reading is not None:
            self._reading.cancel()
        self._inbox.put_nowait(None)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


class Member(Device):
    """``async with Member(air, 1, "orders") as member``; what it holds survives its links."""

    # Whether it lets time pass by itself.
    ticks = True

    def __init__(self, air: Air, number: int, *interests: str) -> None:
        super().__init__(number, *interests, features=FEATURES)
        self.phone = Phone(air, number)
        self.keys = Keys(os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))
        self.membership: Membership | None = None
        self.session_: MeshSession | None = None
        self.link: GattLink | None = None
        self.info: Info | None = None
        self._changed = asyncio.Condition()
        self._static: bytes | None = None
        self._running: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        await self.phone.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.phone.__aexit__(kind, error, trace)

    async def move(self) -> None:
        """Go on by an L2CAP channel."""
        assert self.info is not None and self.link is not None
        await self.link.move(await self.phone.open(self.info.psm))

    async def meet(
        self, pairing: PairingSecret | None = None, address: Address | None = None, mtu: int = MTU
    ) -> None:
        """Find the gateway, connect, open a link and a session. Raises ``Refused``."""
        await self.connect(address, mtu)
        await self.begin(pairing)

    async def connect(self, address: Address | None = None, mtu: int = MTU) -> None:
        """Find the gateway, connect and learn what it offers."""
        found = address or (await self.phone.find(SERVICE)).address
        self._mtu = await self.phone.connect(found, mtu)

    async def begin(self, pairing: PairingSecret | None = None) -> None:
        """Open a link and a session on a connection. Raises ``Refused``."""
        self.info = read_info(await self.phone.read(INFO))
        self.link = await GattLink.open(self.phone, self.info, self._mtu)
        self.session_ = self._calling(pairing)
        self._running = asyncio.ensure_future(self._run(self.link, self.session_))
        async with asyncio.timeout(ANSWER_SECONDS):
            await self.link.answered
        await self.until(lambda: self._session.state in (State.OPEN, State.CLOSED))
        if self.calling.met:
            # Known from now on, so that the next handshake is shorter (IK).
            self._static = self.calling.channel.remote_static

    async def leave(self) -> None:
        """Let the connection go."""
        await self.phone.disconnect()
        if self.link is not None:
            self.link.close()
        if self._running is not None:
            await self._running

    def change(self, document: str, key: str, value: object) -> None:
        """The app changes a document, and says so at once if there is a link."""
        self.set(document, key, value)
        self._say()

    def delivered(self, document: str) -> bool:
        """Whether all changes of a document were acknowledged at some time."""
        return any(document in one.documents for one in self.answers if isinstance(one, Delivered))

    async def until(self, reached: Callable[[], bool], seconds: float = ANSWER_SECONDS) -> None:
        """Wait until ``reached()``; looked at after each message."""
        # Not asyncio.wait_for: in Python 3.11 it may swallow that who waits is cancelled.
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(reached)

    @property
    def _session(self) -> MeshSession:
        assert self.session_ is not None
        return self.session_

    def _calling(self, pairing: PairingSecret | None) -> MeshSession:
        request = PairRequest(f"phone {self.number}", "phone", self.keys.signing_public).encode()
        peer = bytes([self.number]) * 16
        self.calling = calling = Calling(
            peer, self.keys, KeyPair(os.urandom(KEY_BYTES)), self.membership, self._static,
            pairing, request,
        )  # fmt: skip
        about = (("client", str(self.number * 1_000 + 1)),)
        local = LocalPeer(peer, self.features | m.FEATURE_RELAYS, about)
        session = MeshSession(local, calling, "bluetooth", self.hub.now, Terms(slow=True))
        self.hub.join(session)
        return session

    async def _run(self, link: GattLink, session: MeshSession) -> None:
        link.on_room = self._say
        self._say()
        ticking = asyncio.ensure_future(self._keep_time()) if self.ticks else None
        while session.state is not State.CLOSED and (message := await link.recv()):
            self.take(session, message)
            self.turn()
            self._say()
            async with self._changed:
                self._changed.notify_all()
        if ticking is not None:
            ticking.cancel()
        self.perform(self.hub.leave(session))

    async def _keep_time(self) -> None:
        """Let time pass for the hub, which began at 0, once a second."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.perform(self.hub.tick(self.hub.now + TICK_SECONDS))
            self.turn()
            self._say()

    def _say(self) -> None:
        assert self.link is not None
        while not self.link.congested and (
            messages := self._session.data_to_send(FromHub(self.hub))
        ):
            for message in messages:
                self.link.send(message)

    def joined(self, event: MemberEvent) -> None:
        """See ``Device``."""
        if isinstance(event, MembershipGained):
            self.membership = event.membership
