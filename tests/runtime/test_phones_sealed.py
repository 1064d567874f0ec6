"""Members of a store let each other in over the link of a phone, and it moves under their seals."""

import asyncio
from typing import Any

import pytest

from gateway.core.entrance import PairingSecret
from gateway.core.events import LinkOpened
from gateway.core.sending import PING_SECONDS
from gateway.core.session import State
from gateway.runtime.phone_link import SIGN_OF_LIFE_BYTES, STRANGER_BYTES, PhoneLink
from gateway.runtime.phones import PhoneBook
from tests.core.stores import Device, by_code, by_qr, gateway, paired, sent, window
from tests.runtime.radio import FakeChannel, FakePhone, FakeRadio


class Meeting:
    """A gateway and a phone, each with its session."""

    def __init__(self, acceptor: Device, phone: Device, pairing: PairingSecret | None) -> None:
        self.acceptor = acceptor
        static = None if pairing else acceptor.keys.noise.public
        self.ours = acceptor.session(acceptor.accepting(window()))
        self.theirs = phone.session(phone.calling(static, pairing))
        self.radio = FakeRadio()
        self.tasks: list[asyncio.Task[None]] = []
        spawn = self.tasks.append
        self.book = PhoneBook(
            self.radio, acceptor.peer, self.serve, lambda work: spawn(asyncio.create_task(work)),
            lambda *_: None, self,
        )  # fmt: skip
        self.phone = FakePhone("a", 23)
        self.links: list[PhoneLink] = []
        self.said: list[bytes] = []
        self.opened_after = 0

    def monotonic(self) -> float:
        return 0.0

    async def serve(self, link: PhoneLink) -> None:
        self.links.append(link)
        session: Any = self.ours
        self.book.joined(session, link)
        while batch := await link.recv():
            for message in batch:
                for event in session.receive(message):
                    if isinstance(event, LinkOpened):
                        self.book.opened(session)
                        self.opened_after = len(self.said)
            self.talk()

    def talk(self) -> None:
        """Both say what they have to say."""
        for message in sent(self.ours):
            self.links[0].send(message)
        given, self.phone.given = self.phone.given, []
        for message in given:
            self.theirs.receive(message)
        for message in sent(self.theirs):
            self.said.append(message)
            self.phone.send(message)

    async def run(self, turns: int = 60) -> None:
        """Carry everything."""
        for _ in range(turns):
            self.talk()
            for value in self.phone.written(0.0):
                self.book.written("a", value, self.phone.mtu)
            for value in self.radio.taken("a"):
                self.phone.notified(value, 0.0)
            if self.phone.channel is not None:
                self.phone.streamed(self.phone.channel.carry(50), 0.0)
            for _ in range(5):
                await asyncio.sleep(0)

    async def meet(self) -> None:
        for _ in range(2):
            self.book.written("a", self.phone.opener(), self.phone.mtu)
        await asyncio.sleep(0)
        await self.run()


def phone_of(kind: str, acceptor: Device) -> tuple[Device, PairingSecret | None]:
    if kind == "member":
        return paired(acceptor, 7), None
    return Device(7), by_code() if kind == "code" else by_qr(acceptor)


@pytest.mark.parametrize("kind", ["member", "code", "qr"])
def test_a_phone_is_let_in_with_what_a_stranger_may_say_and_moves(kind: str) -> None:
    async def course() -> None:
        acceptor = gateway(1)
        meeting = Meeting(acceptor, *phone_of(kind, acceptor))
        await meeting.meet()
        assert meeting.ours.state is meeting.theirs.state is State.OPEN
        assert max(map(len, meeting.said[: meeting.opened_after])) < STRANGER_BYTES / 2
        channel = FakeChannel()
        meeting.book.channel("a", channel)
        meeting.phone.move(channel)
        await meeting.run()
        assert meeting.phone.segments.moved_in
        meeting.said.clear()
        for session in (meeting.ours, meeting.theirs):
            session.tick(1.0)
            session.tick(1.0 + PING_SECONDS)
        await meeting.run()
        assert len(meeting.said) == 2
        assert max(map(len, meeting.said)) <= SIGN_OF_LIFE_BYTES
        assert meeting.ours.state is meeting.theirs.state is State.OPEN
        meeting.book.disconnected("a")
        await asyncio.gather(*meeting.tasks)

    asyncio.run(course())
