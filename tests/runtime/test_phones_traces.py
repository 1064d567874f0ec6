"""Whole links of phones to the gateway, over a radio that loses, doubles, mixes up, has no room
and breaks: the very bytes arrive, or the link ends; nothing is stuck."""

import asyncio
import random
from typing import Any

import pytest

from gateway.core.noise_transport import SEALED_BYTES
from gateway.core.segments import PATIENCE_SECONDS
from gateway.runtime.phone_link import LINGER_SECONDS, PhoneLink
from gateway.runtime.phones import PhoneBook
from tests.core.test_segments import FAULTS
from tests.runtime.radio import FakeChannel, FakePhone, FakeRadio

TRACES = 1_000
# Of a trace: messages are said in the first part, faults happen in the second, too.
SAYING, FAULTY, ALL = 20, 30, 60


class Side:
    """What the gateway has of one phone."""

    def __init__(self, link: PhoneLink) -> None:
        self.link = link
        self.given: list[bytes] = []
        self.sent: list[bytes] = []
        self.served = True


class Course:
    """Some phones and one gateway, for one trace."""

    def __init__(self, seed: str) -> None:
        self.chance = chance = random.Random(seed)
        self.now = 100.0
        self.radio = FakeRadio()
        self.sides: dict[str, Side] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.book = PhoneBook(
            self.radio, bytes(16), self.serve, self.spawn, lambda *_: None, self
        )  # fmt: skip
        self.phones = [
            FakePhone(
                f"phone {number}",
                chance.choice([23, 185, 247, 517, chance.randint(23, 517)]),
                chance.randbytes(4),
            )
            for number in range(chance.choice([1, 1, 2, 3]))
        ]
        self.up: dict[str, list[bytes]] = {phone.name: [] for phone in self.phones}
        self.faults = chance.choice([0.0, 0.0, 0.02, 0.2])
        self.full = chance.choice([0.0, 0.1, 0.6])
        self.moves = {phone.name: chance.randrange(2 * FAULTY) for phone in self.phones}
        self.breaks = chance.randrange(FAULTY) if chance.random() < 0.2 else None
        self.leaves = chance.randrange(FAULTY) if chance.random() < 0.1 else None
        self.gone: set[str] = set()
        self.late: dict[str, list[bytes]] = {}
        self.radio.takes_all = lambda: chance.random() >= self.full

    def monotonic(self) -> float:
        return self.now

    def spawn(self, work: Any) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def serve(self, link: PhoneLink) -> None:
        side = self.sides[link.phone] = Side(link)
        session: Any = object()
        self.book.joined(session, link)
        self.book.opened(session)
        while batch := await link.recv():
            side.given += batch
        self.book.closed(session)
        side.served = False

    async def run(self) -> None:
        for phone in self.phones:
            self.book.connected(phone.name)
            await self._open(phone)
        for turn in range(ALL):
            for phone in self.phones:
                self._say(phone, turn)
                self._happen(phone, turn)
                self._carry(phone, self.faults if turn < FAULTY else 0.0, slow=True)
            self.now += 0.05
            await self._settle()
            if turn == FAULTY:
                self.full = 0.0
        # What is missing is noticed by time, or by what comes next.
        for _ in range(2):
            await self._wait(int(PATIENCE_SECONDS) + 1)
            for phone in self.phones:
                self._both(phone, b"still there?", b"still here!")
            await self._wait(2)
        await self._wait(int(PATIENCE_SECONDS + LINGER_SECONDS) + 1)

    async def _open(self, phone: FakePhone) -> None:
        """As a phone does: the opener twice, the first of a connection perhaps garbled, again."""
        for attempt in range(3):
            wire = [phone.opener(), phone.opener()]
            if attempt == 0 and self.chance.random() < 0.3:
                wire[0] = self.chance.randbytes(self.chance.randrange(30))
            self._fail(wire, self.faults)
            for value in wire:
                self.book.written(phone.name, value, phone.mtu)
            self.book.room(phone.name)
            self._carry(phone, self.faults)
            await self._settle()
            if phone.answered or phone.over:
                break
            self.now += 2.0

    async def end(self) -> None:
        """Disconnect all: every task ends."""
        for phone in self.phones:
            self.book.disconnected(phone.name)
        await asyncio.wait_for(asyncio.gather(*self.tasks), 5.0)

    def is_over(self, phone: FakePhone) -> bool:
        side = self.sides.get(phone.name)
        return phone.over or phone.name in self.gone or side is None or side.link.is_over

    def _say(self, phone: FakePhone, turn: int) -> None:
        if turn < SAYING and self.chance.random() < 0.5:
            sizes = [1, 45, 600, 6_000] + [SEALED_BYTES] * (self.chance.random() < 0.01)
            up = self.chance.randbytes(self.chance.choice(sizes))
            down = self.chance.randbytes(self.chance.choice(sizes))
            self._both(phone, up, down)

    def _both(self, phone: FakePhone, up: bytes, down: bytes) -> None:
        if phone.answered and not self.is_over(phone):
            phone.send(up)
            self.up[phone.name].append(up)
            side = self.sides[phone.name]
            side.sent.append(down)
            side.link.send(down)

    def _happen(self, phone: FakePhone, turn: int) -> None:
        if turn == self.moves[phone.name] and phone.answered and not self.is_over(phone):
            channel = FakeChannel()
            self.book.channel(phone.name, channel)
            if turn == self.breaks:
                channel.close()
            else:
                phone.move(channel)
        if turn == self.breaks and phone.channel is not None:
            phone.channel.close()
        if turn == self.leaves:
            self._leave(phone)

    def _leave(self, phone: FakePhone) -> None:
        self.gone.add(phone.name)
        phone.over = True
        if phone.channel is not None:
            phone.channel.close()
        self.book.disconnected(phone.name)

    def _carry(self, phone: FakePhone, faults: float, *, slow: bool = False) -> bool:
        """Whether there was anything."""
        if phone.name in self.gone:
            return False
        data = b""
        up = self.late.pop(phone.name, []) + phone.written(self.now)
        down = self.radio.taken(phone.name)
        # The channel does not wait for what is written.
        if slow and self.chance.random() < 0.3:
            self.late[phone.name], up = up, []
        for wire in (up, down):
            self._fail(wire, faults)
        for value in up:
            self.book.written(phone.name, value, phone.mtu)
        for value in down:
            phone.notified(value, self.now)
        self.book.room(phone.name)
        if phone.channel is not None:
            data = phone.channel.carry(self.chance.choice([10, 500, 50_000]))
            phone.streamed(data, self.now)
            if phone.channel.closed:
                phone.over = True
        if phone.over:
            self._leave(phone)
        return bool(up or down or data)

    def _fail(self, wire: list[bytes], faults: float) -> None:
        if wire and self.chance.random() < faults:
            self.chance.choice(FAULTS)(self.chance, wire)

    async def _settle(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)

    async def _wait(self, seconds: int) -> None:
        for _ in range(seconds):
            for _ in range(40):
                moved = [self._carry(phone, 0.0) for phone in self.phones]
                await self._settle()
                if not any(moved):
                    break
            self.now += 1.0
            for phone in self.phones:
                phone.check(self.now)
            self.book.tick()


@pytest.mark.parametrize("seed", range(TRACES // 20))
def test_the_very_bytes_arrive_or_the_link_ends(seed: int) -> None:
    for trace in range(20):
        asyncio.run(_run(f"{seed} {trace}"))


async def _run(seed: str) -> None:
    course = Course(seed)
    await course.run()
    await _judge(course)
    await course.end()


async def _judge(course: Course) -> None:
    for phone in course.phones:
        side = course.sides.get(phone.name)
        if side is None:
            assert phone.given == []
            continue
        assert side.given == course.up[phone.name][: len(side.given)]
        assert phone.given == side.sent[: len(phone.given)]
        if course.is_over(phone):
            assert not side.served
        else:
            assert side.given == course.up[phone.name]
            assert phone.given == side.sent
            assert not side.link.congested
        if not course.faults and course.breaks is None and course.leaves is None and phone.answered:
            assert not course.is_over(phone)
