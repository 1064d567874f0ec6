"""Phones that come, open links, misbehave, move and go; without a radio."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from gateway.core.errors import Code
from gateway.core.noise_transport import SEALED_BYTES
from gateway.core.opening import VERSION, Answer, Info, Opener, read_info
from gateway.core.places import GRACE_SECONDS, IDLE_SECONDS, REFUSED_SECONDS, STRANGER_SECONDS
from gateway.core.segments import CREDITS, MOVED, PATIENCE_SECONDS, START
from gateway.core.stream import framed
from gateway.runtime.phone_link import INBOX_BYTES, LINGER_SECONDS, STRANGER_BYTES, PhoneLink
from gateway.runtime.phones import MOST_CHANNELS, MOST_TRIES, WRITE_BYTES, PhoneBook
from tests.runtime.radio import FakeChannel, FakePhone, FakeRadio

PEER = bytes(range(16))
JUNK = bytes([0x80, 1, 2, 3])


class Session:
    """Stands for the session of a link."""

    def __init__(self, link: PhoneLink) -> None:
        self.link = link


class Shop:
    """A gateway's phones. ``links``: those that were served, with what they said."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.radio = FakeRadio()
        self.links: list[PhoneLink] = []
        self.sessions: list[Session] = []
        self.given: list[bytes] = []
        self.said_goodbye: list[Any] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.fails: set[bytes] = set()
        self.reads = True
        self.stopped = asyncio.Event()
        self.book = PhoneBook(self.radio, PEER, self.serve, self.spawn, self.end, self)

    def monotonic(self) -> float:
        return self.now

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        self.tasks.append(asyncio.create_task(work))

    def end(self, session: Any, code: Code, reason: str) -> None:
        assert code is Code.TOO_MANY
        assert reason
        self.said_goodbye.append(session)

    async def serve(self, link: PhoneLink) -> None:
        self.links.append(link)
        session: Any = Session(link)
        self.sessions.append(session)
        self.book.joined(session, link)
        try:
            while self.reads and (batch := await link.recv()):
                self.given += batch
                if self.fails & set(batch):
                    raise RuntimeError("ours")
            if not self.reads:
                await self.stopped.wait()
        finally:
            self.book.closed(session)

    async def open(self, name: str, mtu: int = 247, nonce: bytes = b"abcd") -> FakePhone:
        """A phone with a link."""
        phone = FakePhone(name, mtu, nonce)
        self.book.connected(name)
        assert read_info(self.book.info(name, 0)).place
        self.book.written(name, phone.opener(), phone.mtu)
        await self.carry(phone)
        assert phone.answered
        return phone

    async def enrol(self, name: str) -> FakePhone:
        """A phone that authenticated."""
        phone = await self.open(name, nonce=name.encode()[:4].ljust(4))
        self.book.opened(self.session(name))
        return phone

    def all_go(self) -> None:
        for phone in list(self.book._phones):
            self.book.disconnected(phone)

    def session(self, name: str) -> Any:
        return next(one for one in reversed(self.sessions) if one.link.phone == name)

    async def carry(self, *phones: FakePhone) -> None:
        """All that can go, both ways."""
        moved = True
        while moved:
            moved = False
            for phone in phones:
                up, down = phone.written(self.now), self.radio.taken(phone.name)
                for value in up:
                    self.book.written(phone.name, value, phone.mtu)
                for value in down:
                    phone.notified(value, self.now)
                moved = moved or bool(up or down)
                if phone.channel is not None:
                    phone.streamed(phone.channel.carry(100_000), self.now)
            await settle()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.book.tick()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(test: Callable[[Shop], Coroutine[None, None, None]]) -> Callable[[], None]:
    """Run a test with a shop; in the end all phones go, and every task ends."""

    async def whole() -> None:
        shop = Shop()
        await test(shop)
        shop.all_go()
        shop.stopped.set()
        await asyncio.wait_for(asyncio.gather(*shop.tasks), 5.0)

    @wraps(test)
    def wrapped() -> None:
        asyncio.run(whole())

    del wrapped.__wrapped__
    return wrapped


@run
async def test_each_phone_is_notified_by_its_own_place(shop: Shop) -> None:
    for name in "abcd":
        await shop.open(name, nonce=name.encode() * 4)
        for link in shop.links:
            link.send(b"to all")
    assert shop.radio.places == {"a": 1, "b": 2, "c": 3, "d": 4}


@run
async def test_a_phone_opens_a_link_and_both_say_something(shop: Shop) -> None:
    phone = await shop.open("F0:F1", mtu=23)
    phone.send(b"hello")
    shop.links[0].send(bytes(100))
    await shop.carry(phone)
    assert shop.given == [b"hello"]
    assert phone.given == [bytes(100)]
    assert shop.links[0].address == "bluetooth F0:F1"
    assert (shop.links[0].local, shop.links[0].round_trip_ms()) == ("", None)


@run
async def test_info_says_how_many_may_come_and_the_place_of_who_asks(shop: Shop) -> None:
    assert shop.book.free == 8
    shop.book.connected("a")
    shop.book.connected("a")
    assert shop.book.free == 7
    assert read_info(shop.book.info("a", 0x81)) == Info(PEER, 0x81, 7, 1)
    assert read_info(shop.book.info("b", 0)) == Info(PEER, 0, 6, 2)
    assert read_info(shop.book.info("a", 0)) == Info(PEER, 0, 6, 1)
    shop.book.disconnected("a")
    shop.book.disconnected("a")
    assert read_info(shop.book.info("b", 0)) == Info(PEER, 0, 7, 2)
    assert read_info(shop.book.info("c", 0)).place == 1


@run
async def test_the_answer_says_the_largest_write(shop: Shop) -> None:
    nobody_knows = 0
    for takes, mtu, writes in (
        (nobody_knows, 23, 20), (nobody_knows, 247, 244), (182, 23, 182), (182, 185, 182),
        (512, 517, WRITE_BYTES), (nobody_knows, 517, WRITE_BYTES),
    ):  # fmt: skip
        nonce = bytes([takes & 255, takes >> 8, mtu & 255, mtu >> 8])
        shop.book.written("a", Opener(VERSION, nonce, takes).encoded(), mtu)
        assert shop.radio.taken("a") == [Answer(nonce, writes).encoded()]
        shop.book.disconnected("a")


@run
async def test_what_comes_before_an_opener_is_skipped(shop: Shop) -> None:
    for junk in (b"", JUNK, bytes([START, 1, 65]), b"garbled bytes of another write"):
        shop.book.written("a", junk, 23)
    phone = await shop.open("a")
    phone.send(b"after all")
    await shop.carry(phone)
    assert shop.given == [b"after all"]


@run
async def test_an_opener_again_is_answered_again_and_changes_nothing(shop: Shop) -> None:
    phone = await shop.open("a")
    phone.send(b"one")
    await shop.carry(phone)
    shop.book.written("a", phone.opener(), phone.mtu)
    await shop.carry(phone)
    phone.send(b"two")
    await shop.carry(phone)
    assert (shop.given, len(shop.links)) == ([b"one", b"two"], 1)


@run
async def test_an_opener_with_another_nonce_ends_the_link_there_was(shop: Shop) -> None:
    first = await shop.open("a")
    second = await shop.open("a", nonce=b"efgh")
    assert shop.links[0].is_over
    assert not first.over
    second.send(b"fresh")
    await shop.carry(second)
    assert shop.given == [b"fresh"]


@run
async def test_an_unknown_version_is_refused(shop: Shop) -> None:
    phone = FakePhone("a", 247)
    shop.book.info("a", 0)
    shop.book.written("a", phone.opener(version=2), phone.mtu)
    await shop.carry(phone)
    assert phone.code == Code.VERSION
    assert not shop.links


@run
async def test_who_opens_links_without_end_is_disconnected(shop: Shop) -> None:
    for number in range(MOST_TRIES):
        await shop.open("a", nonce=number.to_bytes(4, "big"))
    assert shop.radio.disconnected == []
    one_more = FakePhone("a", 247, b"more")
    shop.book.written("a", one_more.opener(), 247)
    await shop.carry(one_more)
    assert one_more.code == Code.TOO_MANY
    assert shop.radio.disconnected == ["a"]
    assert all(link.is_over for link in shop.links)


@run
async def test_notifications_have_the_size_that_both_can_take(shop: Shop) -> None:
    for told, mtu, size in (
        (0, 250, 247),
        (100, 517, 100),
        (512, 23, 512),
        (509, 40, 37),
        (3, 517, 20),
        (0, 23, 20),
    ):
        phone = FakePhone("a", 247, nonce=told.to_bytes(4, "big"))
        phone.takes = told
        shop.book.written("a", phone.opener(), mtu)
        shop.links.clear()
        await settle()
        shop.book.opened(shop.session("a"))
        shop.radio.taken("a")
        shop.links[0].send(bytes(1_000))
        assert max(map(len, shop.radio.taken("a"))) == size


@run
async def test_a_stranger_says_little_and_a_member_all(shop: Shop) -> None:
    phone = await shop.open("a")
    phone.send(bytes(STRANGER_BYTES + 1))
    await shop.carry(phone)
    assert phone.code == Code.TOO_BIG
    member = await shop.enrol("b")
    member.send(bytes(SEALED_BYTES))
    await shop.carry(member)
    assert shop.given == [bytes(SEALED_BYTES)]


@run
async def test_a_mistake_ends_that_link_alone_and_is_told(shop: Shop) -> None:
    one, two = await shop.open("a", nonce=b"1111"), await shop.open("b", nonce=b"2222")
    shop.book.written("a", b"\x05what?", 247)
    await shop.carry(one, two)
    assert one.code == Code.MALFORMED
    shop.book.written("a", b"\x06more", 247)
    two.send(b"unhurt")
    await shop.carry(two)
    assert shop.given == [b"unhurt"]
    # It may try again.
    again = await shop.open("a", nonce=b"3333")
    again.send(b"better")
    await shop.carry(again)
    assert shop.given[1:] == [b"better"]


@run
async def test_our_own_faults_are_felt_by_one_phone_alone(shop: Shop) -> None:
    one, two = await shop.enrol("one"), await shop.enrol("two")
    shop.fails.add(b"bang")
    one.send(b"bang")
    await shop.carry(one, two)
    assert one.code == Code.RESET
    failing = shop.radio.notify

    def notify(phone: str, place: int, value: bytes) -> bool:
        if phone == "three":
            raise RuntimeError("ours")
        return failing(phone, place, value)

    shop.radio.notify = notify  # type: ignore[method-assign]
    three = FakePhone("three", 247)
    shop.book.written("three", three.opener(), 247)
    shop.book.room("three")
    shop.book.channel("three", channel := FakeChannel())
    await settle()
    channel.close()
    assert "three" in shop.radio.disconnected
    two.send(b"unhurt")
    await shop.carry(two)
    assert shop.given[1:] == [b"unhurt"]


@run
async def test_a_phone_that_goes_leaves_what_it_said(shop: Shop) -> None:
    phone = await shop.open("a")
    shop.reads = False
    late = await shop.open("b", nonce=b"late")
    late.send(b"last words")
    await shop.carry(late)
    shop.book.disconnected("b")
    assert await shop.links[1].recv() == [b"last words"]
    assert await shop.links[1].recv() == []
    shop.links[1].send(b"nobody")
    shop.links[1].room()
    shop.links[1].repeat_answer()
    shop.book.room("b")
    assert shop.radio.taken("b") == []
    assert not phone.over


@run
async def test_a_session_waits_until_the_radio_has_room(shop: Shop) -> None:
    phone = await shop.enrol("a")
    link, woken = shop.links[0], []
    link.on_writable(lambda: woken.append(1))
    shop.radio.takes_all = lambda: False
    link.send(bytes(10_000))
    assert link.congested
    waiting = asyncio.create_task(link.writable())
    await settle()
    assert not waiting.done()
    shop.radio.takes_all = lambda: True
    shop.book.room("a")
    await shop.carry(phone)
    assert (woken, link.congested, phone.given) == ([1], False, [bytes(10_000)])
    await waiting


@run
async def test_a_close_sends_what_waits_and_tells_the_code(shop: Shop) -> None:
    phone = await shop.enrol("a")
    link = shop.links[0]
    link.send(bytes(9_000))
    link.send(b"goodbye")
    link.close(Code.GOING_AWAY, "bye")
    link.close(Code.RESET, "again")
    link.send(b"too late")
    assert not link.is_over
    assert not link.congested
    assert await link.recv() == []
    phone.send(b"ignored")
    await shop.carry(phone)
    assert phone.given == [bytes(9_000), b"goodbye"]
    assert phone.code == Code.GOING_AWAY
    assert shop.given == []


@run
async def test_a_close_does_not_wait_for_a_phone_that_takes_nothing(shop: Shop) -> None:
    await shop.enrol("a")
    link = shop.links[0]
    shop.radio.takes_all = lambda: False
    link.send(b"goodbye")
    link.close(Code.GOING_AWAY, "bye")
    shop.pass_time(LINGER_SECONDS - 0.1)
    assert not link.is_over
    shop.pass_time(0.1)
    assert link.is_over


@run
async def test_a_phone_that_takes_nothing_is_given_up(shop: Shop) -> None:
    await shop.enrol("full")
    phone = await shop.enrol("slow")
    shop.links[1].send(bytes(9_000))
    shop.radio.takes_all = lambda: False
    shop.links[0].send(b"held up")
    shop.pass_time(PATIENCE_SECONDS - 0.1)
    assert not any(link.is_over for link in shop.links)
    shop.pass_time(0.1)
    assert all(link.is_over for link in shop.links)
    assert not phone.over


@run
async def test_who_says_more_than_is_served_is_held_back_not_cut(shop: Shop) -> None:
    shop.reads = False
    phone = await shop.enrol("a")
    link = shop.links[0]
    for number in range(20):
        phone.send(bytes([number]) * 60_000)
    await shop.carry(phone)
    held = sum(map(len, link._inbox))
    assert INBOX_BYTES - 60_000 < held <= INBOX_BYTES + 60_000
    given: list[bytes] = []
    while len(given) < 20:
        given += await link.recv()
        await shop.carry(phone)
    assert [message[0] for message in given] == list(range(20))
    assert not phone.over


@run
async def test_who_says_tiny_things_without_end_is_held_back_too(shop: Shop) -> None:
    shop.reads = False
    phone = await shop.enrol("a")
    for _ in range(5_000):
        phone.send(b"a")
    await shop.carry(phone)
    assert len(shop.links[0]._inbox) < 5_000


@run
async def test_a_link_moves_with_all_that_is_under_way(shop: Shop) -> None:
    phone = await shop.enrol("a")
    link = shop.links[0]
    up, down = [bytes(9_000), b"up"], [bytes(8_000), b"down"]
    for message in up:
        phone.send(message)
    for message in down:
        link.send(message)
    for value in phone.written(shop.now)[:3]:
        shop.book.written("a", value, 247)
    # As if the rest of those segments was lost by nobody: the phone moves in the middle.
    phone.segments._sent = 3
    channel = FakeChannel()
    shop.book.channel("a", channel)
    await settle()
    phone.move(channel)
    await shop.carry(phone)
    assert (shop.given, phone.given) == (up, down)
    phone.send(b"by the channel")
    link.send(b"back")
    await shop.carry(phone)
    assert (shop.given[2:], phone.given[2:]) == ([b"by the channel"], [b"back"])
    link.close(Code.GOING_AWAY, "bye")
    await shop.carry(phone)
    assert channel.closed
    assert phone.code == Code.GOING_AWAY


@run
async def test_moved_before_the_channel_said_what_it_is(shop: Shop) -> None:
    phone = await shop.enrol("a")
    channel = FakeChannel()
    phone.channel = channel
    assert phone.segments.move() == []
    await shop.carry(phone)
    assert not phone.segments.moved_in
    shop.book.channel("a", channel)
    channel.say(b"\x01" + framed(b"at last"))
    await settle()
    await shop.carry(phone)
    assert phone.segments.moved_in
    assert shop.given == [b"at last"]


@run
async def test_a_phone_that_moves_to_nowhere_is_given_up(shop: Shop) -> None:
    phone = await shop.enrol("a")
    phone.segments.move()
    await shop.carry(phone)
    shop.pass_time(PATIENCE_SECONDS)
    await shop.carry(phone)
    assert phone.code == Code.TIMEOUT


@run
async def test_a_channel_that_breaks_before_the_move_leaves_the_link_as_it_is(shop: Shop) -> None:
    phone = await shop.enrol("a")
    for _ in range(3):
        channel = FakeChannel()
        shop.book.channel("a", channel)
        channel.say(b"\x01")
        await settle()
        channel.close()
        await settle()
    phone.send(b"still here")
    await shop.carry(phone)
    assert shop.given == [b"still here"]
    channel = FakeChannel()
    shop.book.channel("a", channel)
    phone.move(channel)
    await settle()
    await shop.carry(phone)
    channel.close()
    await settle()
    assert shop.links[0].is_over


@run
async def test_a_channel_may_be_a_link_of_its_own(shop: Shop) -> None:
    phone = await shop.enrol("a")
    channel = FakeChannel()
    shop.book.channel("a", channel)
    channel.say(b"\x00" + framed(b"hello")[:2])
    channel.say(framed(b"hello")[2:])
    await settle()
    assert shop.links[0].is_over
    assert shop.given == [b"hello"]
    shop.links[1].send(b"back")
    assert channel.carry(100) == framed(b"back")
    shop.book.written("a", b"\x00not for this link", 247)
    shop.links[1].repeat_answer()
    shop.book.opened(shop.session("a"))
    big = bytes(SEALED_BYTES)
    channel.say(framed(big))
    await settle()
    assert shop.given[1:] == [big]
    assert not phone.over
    # An opener ends it, as it does any link.
    await shop.open("a", nonce=b"efgh")
    assert shop.links[1].is_over
    assert channel.closed


@pytest.mark.parametrize("data", [b"", b"\x02", b"\x01", b"\x00\x00", b"\x00" + b"\xff" * 5])
def test_a_channel_that_is_none_is_closed(data: bytes) -> None:
    @run
    async def course(shop: Shop) -> None:
        shop.book.connected("a")
        channel = FakeChannel()
        shop.book.channel("a", channel)
        channel.say(data)
        if not data:
            channel.close()
        await settle()
        assert channel.closed

    course()


@run
async def test_a_second_channel_and_a_third_are_closed(shop: Shop) -> None:
    phone = await shop.enrol("a")
    channels = [FakeChannel() for _ in range(MOST_CHANNELS + 1)]
    for channel in channels:
        shop.book.channel("a", channel)
        channel.say(b"\x01")
    await settle()
    assert [channel.closed for channel in channels] == [False, True, True]
    shop.book.channel("a", late := FakeChannel())
    shop.book.disconnected("a")
    late.say(b"\x00")
    await settle()
    assert late.closed
    assert not phone.over


@run
async def test_a_channel_is_held_back_and_given_up_like_segments(shop: Shop) -> None:
    shop.reads = False
    shop.book.connected("a")
    channel = FakeChannel()
    shop.book.channel("a", channel)
    channel.say(b"\x00")
    await settle()
    shop.book.opened(shop.session("a"))
    for number in range(20):
        channel.say(framed(bytes([number]) * 60_000))
    await settle()
    link = shop.links[0]
    assert len(link._inbox) == 9
    given: list[bytes] = []
    while len(given) < 20:
        given += await link.recv()
        await settle()
    assert [message[0] for message in given] == list(range(20))
    link.send(bytes(5_000))
    assert link.congested
    shop.pass_time(PATIENCE_SECONDS - 1)
    channel.carry(10)
    shop.pass_time(1)
    shop.pass_time(PATIENCE_SECONDS - 1)
    assert not link.is_over
    shop.pass_time(1)
    assert link.is_over


@run
async def test_a_message_by_the_channel_that_goes_no_further_is_given_up(shop: Shop) -> None:
    shop.book.connected("a")
    channel = FakeChannel()
    shop.book.channel("a", channel)
    channel.say(b"\x00")
    await settle()
    shop.book.opened(shop.session("a"))
    channel.say(framed(b"never whole")[:-1])
    await settle()
    shop.pass_time(PATIENCE_SECONDS)
    assert channel.closed


@run
async def test_who_does_not_authenticate_is_disconnected(shop: Shop) -> None:
    shop.book.connected("silent")
    await shop.open("stranger")
    await shop.enrol("member")
    shop.pass_time(STRANGER_SECONDS - 0.1)
    assert shop.radio.disconnected == []
    shop.pass_time(0.1)
    # Its session is told; if that does not end it, its link is closed.
    assert shop.said_goodbye == [shop.sessions[0]]
    shop.pass_time(1)
    assert sorted(set(shop.radio.disconnected)) == ["silent", "stranger"]
    assert [link.is_over for link in shop.links] == [True, False]


@run
async def test_an_idle_member_is_told_goodbye_for_a_newcomer(shop: Shop) -> None:
    members = [await shop.enrol(f"m{number}") for number in range(6)]
    shop.now += IDLE_SECONDS
    for member in members[1:]:
        member.send(bytes(40))
    members[0].send(bytes(20))
    await shop.carry(*members)
    shop.book.connected("new")
    assert shop.said_goodbye == [shop.sessions[0]]
    shop.links[0].send(b"goodbye")
    shop.links[0].close(Code.TOO_MANY, "as the session says")
    await shop.carry(members[0])
    assert members[0].given == [b"goodbye"]
    assert shop.radio.disconnected == ["m0"]
    assert shop.book.free == 2


@run
async def test_a_newcomer_is_refused_when_nobody_can_go(shop: Shop) -> None:
    for number in range(8):
        await shop.enrol(f"m{number}")
    phone = FakePhone("new", 247)
    shop.book.connected("new")
    shop.book.written("new", phone.opener(), phone.mtu)
    shop.book.channel("new", channel := FakeChannel())
    channel.say(b"\x00")
    await shop.carry(phone)
    assert read_info(shop.book.info("new", 0)) == Info(PEER, 0, 0, 0)
    assert not phone.answered
    assert channel.closed
    shop.pass_time(REFUSED_SECONDS)
    assert shop.radio.disconnected == ["new"]
    assert not any(link.is_over for link in shop.links)


@run
async def test_a_stranger_goes_for_a_newcomer_but_not_who_is_busy(shop: Shop) -> None:
    for number in range(6):
        await shop.enrol(f"m{number}")
    shop.book.connected("silent")
    shop.now += GRACE_SECONDS
    busy = await shop.open("busy")
    assert shop.radio.disconnected == ["silent"]
    shop.book.disconnected("silent")
    shop.now += GRACE_SECONDS
    busy.send(bytes(96))
    await shop.carry(busy)
    shop.book.connected("new")
    assert shop.radio.disconnected == ["silent"]


@run
async def test_what_is_told_of_links_of_others_or_of_old_ones_changes_nothing(shop: Shop) -> None:
    nobody: Any = object()
    shop.book.opened(nobody)
    shop.book.closed(nobody)
    await shop.open("a")
    session = shop.session("a")
    await shop.open("a", nonce=b"efgh")
    shop.book.joined(session, shop.links[0])
    shop.book.opened(session)
    shop.book.heard(shop.links[0])
    shop.links[0].gone()
    shop.pass_time(STRANGER_SECONDS)
    assert len(shop.said_goodbye) == 1


@run
async def test_the_gateway_waits_for_goodbyes_and_ends_the_connections(shop: Shop) -> None:
    phone = await shop.enrol("a")
    shop.book.connected("b")
    shop.links[0].send(bytes(9_000))
    shop.links[0].close(Code.GOING_AWAY, "the gateway stops")
    waiting = asyncio.create_task(shop.book.drained(5.0))
    await settle()
    assert not waiting.done()
    await shop.carry(phone)
    await waiting
    assert phone.given == [bytes(9_000)]
    assert shop.radio.disconnected == ["a", "b"]


@run
async def test_the_gateway_does_not_wait_for_ever(shop: Shop) -> None:
    await shop.enrol("a")
    await shop.book.drained(0.01)
    assert shop.radio.disconnected == ["a"]


@run
async def test_time_passes_by_itself(shop: Shop) -> None:
    shop.book.connected("a")
    shop.now += STRANGER_SECONDS
    task = asyncio.create_task(shop.book.keep_time())
    await settle()
    task.cancel()
    assert shop.radio.disconnected == ["a"]


def hostile(chance: random.Random) -> bytes:
    """Something to write: a new link, or what looks like a part of one."""
    opener = Opener(chance.choice([1, 1, 1, 2]), chance.randbytes(4), chance.randrange(600))
    header = chance.choice([0, START, CREDITS, MOVED, MOVED | START]) | chance.randrange(4)
    segment = bytes([header]) + chance.randbytes(chance.randrange(5))
    return chance.choice([opener.encoded(), segment, chance.randbytes(chance.randrange(30))])


@pytest.mark.parametrize("seed", range(40))
def test_hostile_phones_do_not_hurt_one_that_is_active(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(seed)

    @run
    async def course(shop: Shop) -> None:
        member, said, channels = await shop.enrol("member"), 0, []
        for turn in range(200):
            name = f"stranger {chance.randrange(12)}"
            match chance.randrange(8):
                case 0:
                    shop.book.disconnected(name)
                case 1:
                    channels.append(channel := FakeChannel())
                    channel.say(bytes([chance.randrange(3)]) + chance.randbytes(3))
                    shop.book.channel(name, channel)
                case 2:
                    shop.pass_time(3 * chance.random())
                case _:
                    shop.book.written(name, hostile(chance), chance.choice([23, 517]))
            for phone in shop.radio.disconnected:
                shop.book.disconnected(phone)
            assert "member" not in shop.radio.disconnected
            shop.radio.disconnected.clear()
            if turn % 10 == 0:
                member.send(bytes(50))
                said += 1
            await shop.carry(member)
        assert shop.given.count(bytes(50)) == said
        for channel in channels:
            channel.close()

    course()
    # What asyncio says of a slow machine is judged for all tests (tests/conftest.py).
    assert not [record for record in caplog.records if record.name != "asyncio"]
