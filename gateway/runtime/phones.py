"""The owner of all Bluetooth connections: opens their links, and ends who has to go.

docs/bluetooth.md. What one phone does wrong, and what we do wrong for it, is felt by it alone.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.core.errors import Code
from gateway.core.opening import VERSION, Answer, Info, Opener, read_opener
from gateway.core.places import Places
from gateway.core.segments import MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES, Segments
from gateway.core.session import Session
from gateway.ports import Channel, Clock, Radio
from gateway.runtime.perform import Watcher
from gateway.runtime.phone_carriers import Notifications
from gateway.runtime.phone_link import PhoneLink

# BlueZ 5.66 takes this in one write; longer ones vanish (docs/lab.md).
WRITE_BYTES = 510
# What a channel says first: it is a link of its own, or the one by GATT goes on there.
OWN, MOVES = 0, 1
# Channels of a phone at once; one more may come while the first is being closed.
MOST_CHANNELS = 2
# Links that a phone may open without authenticating, in one connection.
MOST_TRIES = 8
TICK_SECONDS = 1.0
# Of every connection; so much is also said where nobody knows (Bluetooth Core, 3 G 5.2.1).
MIN_MTU = 23
NEEDED = "the place is needed for another device; connect again when there is something to say"

Serve = Callable[[PhoneLink], Coroutine[None, None, None]]
Spawn = Callable[[Coroutine[None, None, None]], object]
End = Callable[[Session, Code, str], None]

log = logging.getLogger("gateway.phones")


@dataclass(slots=True)
class _Phone:
    """A connection. ``nonce``: of the link by GATT that it has, or had; ``place``: see INFO.

    ``tries``: links since it last authenticated; ``ending``: it goes when its link is over.
    """

    link: PhoneLink | None = None
    nonce: bytes = b""
    place: int = 0
    channels: int = 0
    tries: int = 0
    ending: bool = False


class PhoneBook(Watcher):
    """Satisfies ``Phones``.

    ``serve`` runs a session over a link until it ends, in a task of ``spawn``; ``end`` closes a
    session and tells its peer why. ``peer``: our id, as INFO tells it.
    """

    def __init__(
        self,
        radio: Radio,
        peer: bytes,
        serve: Serve,
        spawn: Spawn,
        end: End,
        clock: Clock,
        places: Places | None = None,
    ) -> None:
        self._radio = radio
        self._peer = peer
        self._serve = serve
        self._spawn = spawn
        self._end = end
        self._clock = clock
        self._places = places or Places()
        self._phones: dict[str, _Phone] = {}
        self._sessions: dict[Session, PhoneLink] = {}
        self._no_links = asyncio.Event()

    @property
    def free(self) -> int:
        """How many more phones may connect."""
        return self._places.free

    def connected(self, phone: str) -> None:
        """See ``Phones``."""
        with self._guarded(phone):
            self._known(phone)

    def disconnected(self, phone: str) -> None:
        """See ``Phones``."""
        with self._guarded(phone):
            it = self._phones.pop(phone, None)
            self._places.left(phone)
            if it is not None and it.link is not None:
                it.link.gone()
            self._count_links()

    def info(self, phone: str, psm: int) -> bytes:
        """See ``Phones``."""
        place = 0
        with self._guarded(phone):
            it = self._known(phone)
            place = self._places.number(phone, self._clock.monotonic())
            it.place = place or it.place
        return Info(self._peer, psm, self.free, place).encoded()

    def written(self, phone: str, value: bytes, mtu: int) -> None:
        """See ``Phones``."""
        with self._guarded(phone):
            it = self._known(phone)
            opener = read_opener(value)
            if opener is not None:
                self._opened_by(phone, it, opener, mtu)
            elif it.link is not None:
                it.link.written(value)

    def room(self, phone: str) -> None:
        """See ``Phones``."""
        with self._guarded(phone):
            it = self._phones.get(phone)
            if it is not None and it.link is not None:
                it.link.room()

    def channel(self, phone: str, channel: Channel) -> None:
        """See ``Phones``."""
        with self._guarded(phone):
            it = self._known(phone)
            if it.channels >= MOST_CHANNELS:
                channel.close()
                return
            it.channels += 1
            self._spawn(self._read(phone, it, channel))

    def joined(self, session: Session, link: PhoneLink) -> None:
        """A session begins over a link."""
        self._sessions[session] = link

    def opened(self, session: Session) -> None:
        """See ``Watcher``."""
        link = self._sessions.get(session)
        it = self._phones.get(link.phone) if link is not None else None
        if link is not None and it is not None and it.link is link:
            it.tries = 0
            link.enrolled()
            self._places.enrolled(link.phone, self._clock.monotonic())

    def closed(self, session: Session) -> None:
        """See ``Watcher``."""
        self._sessions.pop(session, None)

    def heard(self, link: PhoneLink) -> None:
        """See ``PhoneLink``."""
        it = self._phones.get(link.phone)
        if it is not None and it.link is link:
            self._places.heard(link.phone, self._clock.monotonic())

    def over(self, link: PhoneLink, code: int | None) -> None:
        """See ``PhoneLink``."""
        it = self._phones.get(link.phone)
        if it is None or it.link is not link:
            return
        it.link = None
        self._places.unlinked(link.phone, self._clock.monotonic())
        if code is not None and link.has_opener:
            self._refuse(link.phone, it, it.nonce, code)
        if it.ending:
            self._radio.disconnect(link.phone)
        self._count_links()

    def tick(self) -> None:
        """Let time pass."""
        now = self._clock.monotonic()
        for phone, it in list(self._phones.items()):
            with self._guarded(phone):
                if it.link is not None:
                    it.link.check(now)
        for phone in self._places.due(now):
            self._send_away(phone)

    async def keep_time(self) -> None:
        """Let time pass once a second, for ever."""
        while True:
            self.tick()
            await asyncio.sleep(TICK_SECONDS)

    async def drained(self, seconds: float) -> None:
        """Wait until all links ended, at most so long, and end all connections."""
        self._no_links.clear()
        self._count_links()
        try:
            async with asyncio.timeout(seconds):
                await self._no_links.wait()
        except TimeoutError:
            log.info("some phones did not take the goodbye")
        for phone in list(self._phones):
            self._radio.disconnect(phone)

    def _known(self, phone: str) -> _Phone:
        """A connection, which is new where nobody told of it."""
        it = self._phones.get(phone)
        if it is None:
            it = self._phones[phone] = _Phone()
            for other in self._places.joined(phone, self._clock.monotonic()):
                self._send_away(other)
        return it

    def _opened_by(self, phone: str, it: _Phone, opener: Opener, mtu: int) -> None:
        if it.link is not None and it.link.has_opener and it.nonce == opener.nonce:
            it.link.repeat_answer()
            return
        if opener.version != VERSION:
            self._refuse(phone, it, opener.nonce, Code.VERSION)
            return
        link = self._new_link(phone, it)
        if link is None:
            self._refuse(phone, it, opener.nonce, Code.TOO_MANY)
            return
        it.nonce = opener.nonce
        carried = _segment_bytes(opener.takes, mtu)
        # A page does not know its MTU, and what is longer may be cut without a word.
        answer = Answer(opener.nonce, min(carried, WRITE_BYTES)).encoded()
        segments = Segments(carried)
        now = self._clock.monotonic
        link.by_gatt(Notifications(self._radio, phone, it.place, segments, now, answer))
        self._spawn(self._run(link))

    def _new_link(self, phone: str, it: _Phone) -> PhoneLink | None:
        """A link in the place of the one there was; None: there is no place."""
        if it.link is not None:
            it.link.gone()
        now = self._clock.monotonic()
        place = self._places.number(phone, now)
        if not place:
            return None
        it.place = place
        it.tries += 1
        if it.tries > MOST_TRIES:
            self._radio.disconnect(phone)
            return None
        if it.tries == 1:
            self._places.heard(phone, now)
        it.link = PhoneLink(phone, self, self._clock)
        return it.link

    async def _run(self, link: PhoneLink) -> None:
        try:
            await self._serve(link)
        except Exception:
            log.exception("a link of a phone failed")
            link.close(Code.RESET, "")
        else:
            link.close(Code.GOING_AWAY, "")

    async def _read(self, phone: str, it: _Phone, channel: Channel) -> None:
        with self._guarded(phone):
            try:
                data = await channel.recv()
                link = self._link_of(phone, it, channel, data[:1])
                if link is not None:
                    await link.read(channel, data[1:])
            finally:
                it.channels -= 1
                channel.close()

    def _link_of(
        self, phone: str, it: _Phone, channel: Channel, first: bytes
    ) -> PhoneLink | None:  # fmt: skip
        """The link that a channel is for, by the first octet there."""
        if self._phones.get(phone) is not it:
            return None
        if first == bytes([MOVES]) and it.link is not None and it.link.attach(channel):
            return it.link
        if first == bytes([OWN]) and (link := self._new_link(phone, it)):
            link.by_channel(channel)
            self._spawn(self._run(link))
            return link
        return None

    def _send_away(self, phone: str) -> None:
        """End a connection, telling its session first if it has one."""
        with self._guarded(phone):
            it = self._phones[phone]
            link = it.link
            if link is None:
                self._radio.disconnect(phone)
                return
            session = next((one for one, its in self._sessions.items() if its is link), None)
            was_ending, it.ending = it.ending, True
            if session is not None and not was_ending:
                self._end(session, Code.TOO_MANY, NEEDED)
            else:
                link.close(Code.TOO_MANY, NEEDED)

    def _refuse(self, phone: str, it: _Phone, nonce: bytes, code: int) -> None:
        # Without room it hears nothing, and asks again; without a place it reads that in INFO.
        if it.place:
            self._radio.notify(phone, it.place, Answer(nonce, code, refused=True).encoded())

    def _count_links(self) -> None:
        if all(it.link is None for it in self._phones.values()):
            self._no_links.set()

    @contextmanager
    def _guarded(self, phone: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            log.exception("a phone failed")
            it = self._phones.get(phone)
            if it is not None and it.link is not None:
                it.link.gone()
            self._radio.disconnect(phone)


def _segment_bytes(told: int, mtu: int) -> int:
    """What one write or notification carries, by what the phone says and the radio knows of it, if
    they do.
    """
    known = mtu - 3 if mtu > MIN_MTU else 0
    least = min((number for number in (told, known) if number), default=0)
    return min(max(least, MIN_SEGMENT_BYTES), MAX_SEGMENT_BYTES)
