"""Commands from the cloud and what becomes of them when the connection is lost meanwhile."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from gateway.core.bridge import Message, Publication
from gateway.core.errors import GatewayError
from gateway.runtime import bridge_commands
from gateway.runtime.bridge_commands import Commands
from gateway.runtime.bridge_inbox import LOGGED, Declined, Inbox
from gateway.runtime.local import Local
from tests.runtime.test_bridge import TOPICS, FakeLink
from tests.runtime.test_perform import NAME, Running, asynchronous, running, until

LOST = GatewayError("broker-lost", "")


class Link(FakeLink):
    """One that commands come over."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: asyncio.Queue[Message] = asyncio.Queue()
        self.finished: list[Message] = []
        self.subscribed: list[str] = []
        self.refusal: GatewayError | None = None

    async def message(self) -> Message:
        return await self.heard.get()

    def done(self, message: Message) -> None:
        self.finished.append(message)

    async def subscribe(self, topics: Any) -> None:
        self.subscribed += topics
        if self.refusal is not None:
            raise self.refusal

    async def publish(self, publication: Publication) -> None:
        if self.refusal is not None:
            raise self.refusal
        await super().publish(publication)

    def command(self, **said: Any) -> None:
        payload = json.dumps({"document": NAME, **said}).encode()
        self.heard.put_nowait(Message(TOPICS.request, payload))

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(publication.payload) for publication in self.sent]


class Office:
    """Commands at a device in memory."""

    def __init__(self, one: Running) -> None:
        device = Local("me", 7)
        device.attach(one.performer)
        self.device = device
        self.refusals: dict[str, GatewayError | None] = {}
        self.declined = Declined()
        self.commands = Commands(device, ["orders"], self.refusals.__setitem__, self.declined)

    async def over(self, link: Link, work: Callable[[], bool]) -> None:
        """Serve it until there is nothing to wait for."""
        inbox = Inbox(link, self.commands.topics(TOPICS), self.declined)
        both = (inbox.serve(), self.commands.serve(link, TOPICS, inbox))
        tasks = [asyncio.ensure_future(one) for one in both]
        await until(lambda: work() or any(task.done() for task in tasks))
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


@asynchronous
async def test_a_change_goes_on_without_the_connection_and_is_made_once() -> None:
    async with running() as one:
        office = Office(one)
        await office.device.put(NAME, {"n": 0})
        one.store.gate.clear()
        put = {"transaction": "1", "verb": "put", "content": {"n": 1}}
        first = Link()
        first.command(**put)
        await office.over(first, lambda: bool(office.commands._doing))
        assert not first.sent and not first.finished
        # It comes again while the first is being written, and as another one.
        second = Link()
        second.command(**put)
        second.command(**{**put, "content": {"n": 2}})
        waiting = asyncio.ensure_future(office.over(second, lambda: len(second.sent) == 2))
        await asyncio.sleep(0.01)
        assert not second.sent
        one.store.gate.set()
        await waiting
        assert [answer.get("code", "") for answer in second.answers] == ["", "transaction-used"]
        assert await office.device.read(NAME) == {"fields": {"n": 1}}
        assert len([row for row in one.store.rows if row.document == NAME]) == 2
        # And once more, when somebody else has changed it since.
        await office.device.put(NAME, {"n": 3})
        third = Link()
        third.command(**put)
        await office.over(third, lambda: bool(third.finished))
        assert third.answers == [{"transaction": "1", "ok": True, "document": NAME}]
        assert await office.device.read(NAME) == {"fields": {"n": 3}}


@asynchronous
async def test_a_failure_that_nobody_waits_for_is_not_remembered() -> None:
    async with running() as one:
        office = Office(one)
        for _ in range(2):
            link = Link()
            link.command(transaction="1", verb="get")
            await office.over(link, partial(bool, link.finished))
            assert link.answers[0]["code"] == "no-document"
        await office.device.put(NAME, {})
        await office.device.put(NAME, {"n": 1})
        link = Link()
        link.command(transaction="1", verb="get")
        await office.over(link, lambda: bool(link.finished))
        assert link.answers[0]["fields"] == {"n": 1}
        assert office.commands.done == 1 and office.declined.count == 2


@asynchronous
async def test_after_a_command_that_took_long_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge_commands, "SLOW_SECONDS", 0.0)
    monkeypatch.setattr(bridge_commands, "REST", 1e9)
    monkeypatch.setattr(bridge_commands, "MOST_REST_SECONDS", 0.05)
    async with running() as one:
        office, link = Office(one), Link()
        for number in range(3):
            link.command(transaction=str(number), verb="get")
        began = asyncio.get_running_loop().time()
        await office.over(link, lambda: len(link.sent) == 3)
        # It is answered before the rest.
        assert asyncio.get_running_loop().time() - began >= 0.1 and len(link.finished) == 2


@asynchronous
async def test_an_answer_that_is_too_long_says_so() -> None:
    async with running() as one:
        office = Office(one)
        await office.device.put(NAME, {"text": "x" * Link.most_bytes})
        link = Link()
        link.command(transaction="1", verb="get")
        await office.over(link, lambda: bool(link.finished))
        assert link.answers[0]["transaction"] == "1" and link.answers[0]["code"] == "too-big"


@asynchronous
async def test_messages_of_topics_that_were_not_asked_for_reach_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running() as one:
        office, link = Office(one), Link()
        for topic in (TOPICS.health, "", TOPICS.response):
            link.heard.put_nowait(Message(topic, b"secret"))
        await office.over(link, lambda: len(link.finished) == 3)
        assert link.subscribed == [TOPICS.request]
        assert office.declined.count == 3 and not link.sent
    assert "not asked for" in caplog.text and "secret" not in caplog.text


@asynchronous
async def test_what_the_broker_refuses_is_told_and_what_is_lost_ends_it() -> None:
    async with running() as one:
        office, link = Office(one), Link()
        await office.device.put(NAME, {"n": 1})
        link.refusal = GatewayError("broker-topic-denied", "")
        link.command(transaction="1", verb="get")
        await office.over(link, lambda: bool(link.finished))
        assert set(office.refusals) == {"commands", "answers"}
        # Where its asker chose the topic that is not the gateway's trouble, and is not said as one.
        office.refusals.clear()
        payload = json.dumps({"document": NAME, "transaction": "2", "verb": "get"}).encode()
        chosen = TOPICS.response.partition("/command/")[0] + "/answer/x"
        link.heard.put_nowait(Message(TOPICS.request, payload, answer_topic=chosen))
        await office.over(link, lambda: len(link.finished) == 2)
        assert set(office.refusals) == {"commands"} and office.declined.count == 1
        lost = Link()
        lost.refusal = LOST
        with pytest.raises(GatewayError):
            await office.over(lost, lambda: False)


@asynchronous
async def test_a_flood_of_what_is_refused_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running() as one:
        office, link = Office(one), Link()
        for _ in range(3 * LOGGED):
            link.heard.put_nowait(Message("x", b""))
        await office.over(link, lambda: len(link.finished) == 3 * LOGGED)
        assert office.declined.count == 3 * LOGGED
    assert len(caplog.records) == LOGGED + 2
