"""Sightings, sessions and changes of the network become calls, and ends of links."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.core import messages
from gateway.core.announcement import Address, Announcement, Neighbour
from gateway.core.errors import Code, GatewayError
from gateway.core.handshake import LocalPeer
from gateway.core.mesh_session import MeshSession
from gateway.core.neighbours import Neighbours, Own
from gateway.core.session import Session
from gateway.ports import Link
from gateway.runtime import caller, neighbourhood
from gateway.runtime.neighbourhood import Calls, Neighbourhood
from tests.runtime.memory import NoLink
from tests.support.air import Air, MemoryDiscovery

OUR, HIGH = "5" * 32, "9" * 32
HERE = Address("10.0.0.5", 24, 2, usable=True)
ANNOUNCED = Announcement(HIGH, 1, 1, "", True, 8787, "other", 0, ("10.0.0.9",))
OWN = Announcement(OUR, 1, 1, "", True, 8787, "ours", 0)
SOON = 5.0


class Time:
    """Satisfies ``Clock``."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Cable:
    """Satisfies ``Network``."""

    def __init__(self) -> None:
        self.here: list[Address] = [HERE]
        self.pulled = asyncio.Event()
        self.closed = False

    def addresses(self) -> Sequence[Address]:
        return list(self.here)

    async def changed(self) -> None:
        await self.pulled.wait()
        self.pulled.clear()

    def close(self) -> None:
        self.closed = True


class Desk:
    """A neighbourhood with everything around it; links are open until they are ended."""

    def __init__(self, off: str = "") -> None:
        self.calls: list[str] = []
        self.refusing: set[str] = set()
        self.identity = HIGH
        self.opens = True
        self.sessions: list[Session] = []
        self.ended: dict[Session, tuple[Code, str]] = {}
        self.over: dict[Session, asyncio.Event] = {}
        self.time = Time()
        self.air = Air()
        self.other = MemoryDiscovery(self.air)
        self.cable = Cable()
        core = Neighbours(Own(OUR, 1, 1, "", True, True))
        how = Calls(self.connect, self.session, self.serve, self.end)
        self.it = Neighbourhood(core, how, self.time, lambda: 1.0, off)
        self.changed = asyncio.Event()

    async def connect(self, url: str) -> Link:
        self.calls.append(url)
        self.changed.set()
        if url in self.refusing:
            raise GatewayError("unreachable", f"{url} cannot be reached: refused", 69)
        return NoLink()

    def session(self, url: str) -> MeshSession:
        return MeshSession(LocalPeer(bytes(16), 0, ()), (messages.AUTH_NONE, b""), url, 0.0)

    async def serve(self, link: Link, session: Session, local: str = HERE.ip) -> None:
        self.over[session] = asyncio.Event()
        self.sessions.append(session)
        self.it.joined(session, local)
        if self.opens:
            session.identity = session.identity or self.identity
            self.it.opened(session)
        self.changed.set()
        if self.opens:
            await self.over[session].wait()
        self.it.closed(session)

    def end(self, session: Session, code: Code, reason: str) -> None:
        self.ended[session] = (code, reason)
        self.over[session].set()
        self.changed.set()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(SOON):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    def row(self) -> dict[str, object]:
        (row,) = self.it.listed()["neighbours"]
        assert isinstance(row, dict)
        return row


def run(work: Callable[[Desk], Awaitable[None]]) -> None:
    async def around() -> None:
        desk = Desk()
        async with asyncio.TaskGroup() as tasks:
            own = MemoryDiscovery(desk.air)
            looking = tasks.create_task(desk.it.keep_looking(own, desk.cable, OWN, "0.0.0.0"))
            calls: list[asyncio.Task[None]] = []

            def spawn(call: object) -> asyncio.Task[None]:
                calls.append(tasks.create_task(call))  # type: ignore[arg-type]
                return calls[-1]

            calling = tasks.create_task(desk.it.keep_calling(spawn))
            await asyncio.sleep(0)
            try:
                await work(desk)
            finally:
                for task in (looking, calling, *calls):
                    task.cancel()
        assert desk.cable.closed and desk.air.listening.keys() <= {desk.other}

    asyncio.run(around())


async def appear(desk: Desk, *addresses: str) -> None:
    own = replace(ANNOUNCED, addresses=addresses or ANNOUNCED.addresses)
    await desk.other.start([HERE], own, Deaf())


class Deaf:
    """Satisfies ``Sightings``."""

    def seen(self, neighbour: Neighbour) -> None:
        pass

    def gone(self, peer: str) -> None:
        pass


def test_who_is_seen_is_called_and_called_again_when_the_link_is_lost() -> None:
    async def work(desk: Desk) -> None:
        await appear(desk)
        await desk.until(lambda: desk.sessions)
        assert desk.calls == ["ws://10.0.0.9:8787/mesh"]
        assert desk.row()["state"] == "linked" and desk.row()["sentence"] == "linked"
        desk.over[desk.sessions[0]].set()
        await desk.until(lambda: len(desk.sessions) == 2)

    run(work)


def test_addresses_are_tried_in_turn_and_ipv6_has_brackets() -> None:
    async def work(desk: Desk) -> None:
        desk.refusing.add("ws://10.0.0.9:8787/mesh")
        await appear(desk, "fe80::9%2", "10.0.0.9", "8.8.8.8", "127.0.0.1", HERE.ip)
        await desk.until(lambda: desk.sessions)
        assert desk.calls == ["ws://10.0.0.9:8787/mesh", "ws://[fe80::9%2]:8787/mesh"]

    run(work)


def test_why_a_call_failed_is_shown() -> None:
    async def work(desk: Desk) -> None:
        desk.refusing.add("ws://10.0.0.9:8787/mesh")
        await appear(desk)
        await desk.until(lambda: len(desk.calls) == 2)
        assert "refused" in str(desk.row()["sentence"]) and desk.row()["state"] == "called"
        desk.refusing.clear()
        desk.opens = False
        await desk.until(lambda: desk.sessions)
        await asyncio.sleep(0)
        assert desk.row()["sentence"] == neighbourhood.NOT_OPENED

    run(work)


def test_an_address_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbourhood, "CONNECT_SECONDS", 0.01)

    async def work(desk: Desk) -> None:
        async def silent(url: str) -> Link:
            desk.calls.append(url)
            desk.changed.set()
            await asyncio.sleep(60)
            raise AssertionError

        how = Calls(silent, desk.session, desk.serve, desk.end)
        desk.it._calls = how
        await appear(desk, "10.0.0.9", "10.0.0.8")
        await desk.until(lambda: len(desk.calls) == 3)
        assert desk.row()["sentence"] == "ws://10.0.0.8:8787/mesh does not answer"

    run(work)


def test_who_answers_with_another_id_is_not_taken_for_the_neighbour() -> None:
    async def work(desk: Desk) -> None:
        desk.identity = "7" * 32
        await appear(desk)
        await desk.until(lambda: desk.ended)
        assert list(desk.ended.values()) == [(Code.GOING_AWAY, neighbourhood.OTHER)]
        assert desk.row()["sentence"] == neighbourhood.OTHER

    run(work)


def test_who_disappears_keeps_its_link_and_is_not_called_again() -> None:
    async def work(desk: Desk) -> None:
        await appear(desk)
        await desk.until(lambda: desk.sessions)
        await desk.other.stop(goodbye=True)
        assert desk.row()["announced"] is False and not desk.ended
        desk.over[desk.sessions[0]].set()
        await asyncio.sleep(0.6)  # longer than the first pause before a call
        assert desk.it.listed() == {"sentence": neighbourhood.NOBODY, "off": "", "neighbours": []}
        assert len(desk.calls) == 1

    run(work)


def test_who_has_another_address_is_called_there() -> None:
    async def work(desk: Desk) -> None:
        await appear(desk)
        await desk.until(lambda: desk.sessions)
        await desk.other.stop(goodbye=False)
        await appear(desk, "10.0.0.10")
        await desk.until(lambda: len(desk.sessions) == 2)
        assert desk.calls[-1] == "ws://10.0.0.10:8787/mesh"
        assert desk.ended[desk.sessions[0]] == (Code.GOING_AWAY, neighbourhood.MOVED)

    run(work)


def test_another_address_does_not_wait_for_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "FIRST_PAUSE_SECONDS", 600.0)

    async def work(desk: Desk) -> None:
        desk.refusing.add("ws://10.0.0.9:8787/mesh")
        await appear(desk)
        await desk.until(lambda: desk.calls)
        await asyncio.sleep(0)
        await desk.other.stop(goodbye=False)
        await appear(desk, "10.0.0.10")
        await desk.until(lambda: desk.sessions)

    run(work)


def test_at_a_change_of_the_network_sessions_over_lost_addresses_end_and_others_stay() -> None:
    async def work(desk: Desk) -> None:
        second = Address("10.0.1.5", 24, 3, usable=True)
        desk.cable.here.append(second)
        desk.cable.pulled.set()
        await appear(desk)
        await desk.until(lambda: desk.sessions)
        browser = desk.session("tablet")
        browser.calling, browser.identity = False, "7" * 32
        waiting = asyncio.create_task(desk.serve(NoLink(), browser, second.ip))
        await desk.until(lambda: browser in desk.sessions)
        desk.cable.here.remove(second)
        desk.cable.pulled.set()
        await desk.until(lambda: desk.ended)
        assert desk.ended == {browser: (Code.GOING_AWAY, neighbourhood.LEFT)}
        await waiting

    run(work)


def test_who_becomes_a_member_of_a_store_announces_it_and_calls_its_members_only() -> None:
    async def work(desk: Desk) -> None:
        await desk.other.start([HERE], replace(ANNOUNCED, store="941e30ff"), Deaf())
        assert desk.row()["state"] == "other-store"
        desk.it.of_store("941e30ff")
        await desk.until(lambda: desk.sessions)
        announced = [own.store for own in desk.air.announced.values() if own.peer == OUR]
        assert announced == ["941e30ff"] and desk.row()["state"] == "linked"

    run(work)


def test_without_a_network_this_is_said_until_there_is_one() -> None:
    async def work(desk: Desk) -> None:
        await appear(desk)
        await desk.until(lambda: desk.sessions)
        desk.cable.here = [replace(HERE, usable=False)]
        desk.cable.pulled.set()
        await asyncio.sleep(0.01)
        assert desk.it.listed()["sentence"] == neighbourhood.ALONE
        assert desk.row()["announced"] is False and not desk.ended
        desk.cable.here = [HERE]
        desk.cable.pulled.set()
        await asyncio.sleep(0.01)
        assert desk.it.listed()["sentence"] == "" and desk.row()["announced"] is True

    run(work)


def test_of_two_links_one_is_ended() -> None:
    async def work(desk: Desk) -> None:
        await appear(desk)
        await desk.until(lambda: desk.sessions)
        accepted = desk.session("10.0.0.9:4711")
        accepted.calling, accepted.identity = False, HIGH
        waiting = asyncio.create_task(desk.serve(NoLink(), accepted))
        await desk.until(lambda: desk.ended)
        # We have the smaller id.
        assert desk.ended == {accepted: (Code.TOO_MANY, neighbourhood.DOUBLE)}
        await waiting

    run(work)


def test_a_named_address_is_not_called_while_its_peer_is_linked() -> None:
    async def work(desk: Desk) -> None:
        named = desk.session("ws://10.0.0.9:8787/mesh")
        assert desk.it.may_call(named.address)
        waiting = asyncio.create_task(desk.serve(NoLink(), named))
        await desk.until(lambda: desk.sessions)
        desk.over[named].set()
        await waiting
        assert desk.it.may_call(named.address)
        await appear(desk)
        await desk.until(lambda: len(desk.sessions) == 2)
        assert not desk.it.may_call(named.address)
        assert desk.it.may_call("ws://10.0.0.8:8787/mesh")

    run(work)


def test_discovery_that_fails_says_why_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbourhood, "RETRY_SECONDS", 0.01)

    async def work() -> None:
        desk = Desk()

        class Failing(MemoryDiscovery):
            failures = 2

            async def start(self, *arguments: Any) -> None:
                if self.failures:
                    self.failures -= 1
                    raise GatewayError("discovery-failed", "no socket to be had", 69)
                await super().start(*arguments)
                desk.changed.set()

        own = Failing(desk.air)
        looking = asyncio.create_task(desk.it.keep_looking(own, desk.cable, OWN, "0.0.0.0"))
        await asyncio.sleep(0)
        assert desk.it.listed()["sentence"] == "no socket to be had"
        await desk.until(lambda: own in desk.air.listening)
        assert desk.it.listed()["sentence"] == neighbourhood.NOBODY
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking

    asyncio.run(work())


def test_who_looks_for_nobody_says_why() -> None:
    async def work() -> None:
        assert "(--lan)" in Desk("it is alone (--lan)").it.listed()["sentence"]

    asyncio.run(work())
