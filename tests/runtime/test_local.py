"""This device's own app: nothing forks, nothing is called saved that is not."""

import asyncio

import pytest

from gateway.core.document import Document
from gateway.core.errors import GatewayError
from gateway.core.events import Notice
from gateway.core.hub import Hub, Quotas
from gateway.core.selections import Interest
from gateway.runtime.local import Local, Seen
from gateway.runtime.perform import Performer, Watcher
from tests.runtime.test_perform import NAME, Running, asynchronous, running


def local(one: Running) -> Local:
    device = Local("me", 7)
    device.attach(one.performer)
    return device


@asynchronous
async def test_changes_that_come_together_follow_each_other() -> None:
    async with running() as one:
        device = local(one)
        await asyncio.gather(*(device.patch(NAME, {f"n{n}": n, "last": n}) for n in range(50)))
        content = await device.read(NAME)
        assert content is not None
        fields = content["fields"]
        assert {fields[f"n{n}"] for n in range(50)} == set(range(50))
        stored = Document.load(NAME, b"", one.store.load(NAME).changes)
        assert stored.project() == content
        assert stored.clocks == {7: 100}


@asynchronous
async def test_nothing_is_written_for_what_is_there_already() -> None:
    async with running() as one:
        device = local(one)
        await device.put(NAME, {"a": 1})
        commits = one.store.commits
        await device.put(NAME, {"a": 1})
        assert one.store.commits == commits


@asynchronous
async def test_what_is_not_taken_is_said() -> None:
    async with running() as one:
        one.performer.hub = one.hub = Hub(Quotas(1, 1, 1), {}, frozenset())
        device = local(one)
        with pytest.raises(GatewayError) as caught:
            await device.put(NAME, {"a": 1})
        assert caught.value.code == "quota"
        with pytest.raises(GatewayError) as caught:
            await device.put("orders", {"a": 1})
        assert caught.value.code == "bad-name"


@asynchronous
async def test_a_store_that_waits_keeps_the_writer_waiting() -> None:
    async with running() as one:
        device = local(one)
        await device.read(NAME)
        one.store.gate.clear()
        writing = asyncio.create_task(device.put(NAME, {"a": 1}))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not writing.done()
        one.store.gate.set()
        await writing


@asynchronous
async def test_what_was_subscribed_to_is_seen_once_in_its_last_form() -> None:
    async with running() as one:
        device = Local("me", 7)

        class Follows(Watcher):
            def noticed(self, notice: Notice) -> None:
                device.notice(notice)

        hub = Hub(
            Quotas(1 << 30, 1 << 30, 1 << 30), {}, frozenset(),
            interests=[Interest("orders", '{"open": true}')],
        )  # fmt: skip
        performer = Performer(hub, one.store, one.note, one.helper, one.failed.append, Follows())
        performer.writer.start()
        try:
            device.attach(performer)
            await device.put("menu/1", {"open": True})
            await device.put(NAME, {"open": True})
            await device.put(NAME, {"open": True, "n": 2})
            assert await device.seen() == Seen(NAME, True, {"fields": {"open": True, "n": 2}})
            waiting = asyncio.create_task(device.seen())
            await device.patch(NAME, {"open": False})
            assert await waiting == Seen(NAME, False, {"fields": {"open": False, "n": 2}})
        finally:
            await asyncio.to_thread(performer.close)


@asynchronous
async def test_what_was_written_is_expected_until_a_peer_has_all_of_it() -> None:
    async with running() as one:
        device = local(one)
        await device.put(NAME, {"a": 1})
        assert device.undelivered == 0
        device.expect_deliveries()
        await device.put(NAME, {"a": 1})
        await device.patch("orders/2", {"a": 2})
        assert device.undelivered == 2
        waiting = asyncio.create_task(device.all_delivered())
        # Nobody is there who could have it.
        device.look(NAME)
        await asyncio.sleep(0)
        assert device.undelivered == 2 and not waiting.done()
        device.decline(NAME)
        one.performer.hub = one.hub = Hub(Quotas(1, 1, 1), {}, frozenset())
        with pytest.raises(GatewayError):
            await device.put("orders/2", {"a": 3})
        await asyncio.wait_for(waiting, 5)
