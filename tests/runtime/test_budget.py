"""Loop time of peers: a burst, then a share; and who is over it waits."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.core.events import Compared, Event
from gateway.core.hub import Hub, Quotas
from gateway.runtime import budget as budget_module
from gateway.runtime.budget import (
    CREDIT_SECONDS,
    LINK_SECONDS,
    MAX_DEBT_SECONDS,
    SHARE,
    Budget,
)
from gateway.runtime.peer import serve
from gateway.runtime.perform import Performer
from gateway.runtime.threads import Helper
from tests.core.sessions import RecordingSession
from tests.runtime.memory import MemoryNote, MemoryStore, NoLink


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at


def used(budget: Budget, watch: Watch, address: str, seconds: float) -> float:
    began = budget.now()
    watch.at += seconds
    assert budget.spend(address, began) == pytest.approx(seconds)
    return budget.pause(address, 1.0)


def test_a_burst_is_free_then_there_is_a_share() -> None:
    watch = Watch()
    budget = Budget(watch)
    assert used(budget, watch, "10.0.0.1:1", 0.9 * CREDIT_SECONDS) == 0
    pause = used(budget, watch, "10.0.0.1:2", 0.2)
    assert 9 < pause < 0.2 / SHARE
    assert used(budget, watch, "10.0.0.2:1", 0.01) == 0
    watch.at += pause + CREDIT_SECONDS / SHARE
    assert used(budget, watch, "10.0.0.1:3", 0.9 * CREDIT_SECONDS) == 0
    assert used(budget, watch, "10.0.0.1:3", CREDIT_SECONDS) > 0


def test_a_link_that_used_little_does_not_wait_for_others_at_its_address() -> None:
    watch = Watch()
    budget = Budget(watch)
    assert used(budget, watch, "10.0.0.1:1", CREDIT_SECONDS + MAX_DEBT_SECONDS / 2) > 0
    assert budget.pause("10.0.0.1:2", 0.0) == 0 and budget.pause("10.0.0.1:2", LINK_SECONDS) > 0
    assert used(budget, watch, "10.0.0.1:1", MAX_DEBT_SECONDS) > 0
    assert budget.pause("10.0.0.1:2", 0.0) > 0 and budget.pause("10.0.0.2:2", 0.0) == 0


def test_addresses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "MAX_ADDRESSES", 2)
    watch = Watch()
    budget = Budget(watch)
    for host in ("a", "b", "c"):
        used(budget, watch, f"{host}:1", 2 * CREDIT_SECONDS)
    assert budget.pause("c:1", 1.0) > 0
    assert budget.pause("a:1", 1.0) == 0


class Comparing(RecordingSession):
    """Says the same turn of an exchange twice in each message."""

    def receive(self, data: bytes) -> Sequence[Event]:
        return (Compared(1, False, b""), Compared(1, False, b""))


class Talking(NoLink):
    """Gives one message, then ends."""

    def __init__(self) -> None:
        self.messages = [b"turn"]

    async def recv(self) -> list[bytes]:
        said, self.messages = self.messages, []
        return said


def test_others_have_their_turn_after_each_comparison() -> None:
    heard: list[str] = []

    class Spent(Budget):
        def spend(self, address: str, began: float) -> float:
            heard.append("spent")
            return super().spend(address, began)

    async def run() -> None:
        store, helper = MemoryStore(), Helper("test")
        hub = Hub(Quotas(1, 1, 1), {}, frozenset())
        performer = Performer(hub, store, MemoryNote(), helper, lambda error: None)
        performer.writer.start()

        async def other() -> None:
            while True:
                heard.append("other")
                await asyncio.sleep(0)

        task = asyncio.ensure_future(other())
        await serve(Talking(), Comparing(), performer, helper, Spent(Watch()))
        task.cancel()
        await asyncio.to_thread(performer.close)
        helper.close()

    asyncio.run(run())
    first = heard.index("spent")
    assert heard.count("spent") == 2
    assert "other" in heard[first : heard.index("spent", first + 1)]
