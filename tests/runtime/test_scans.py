"""Walks: one slice a loop turn for all of them, one at a time for a session's subscriptions."""

import asyncio

import pytest

from gateway.core.events import Bring, Scan, Walk
from gateway.runtime import scans as scans_module
from gateway.runtime.scans import Scans
from tests.core.sessions import RecordingSession
from tests.runtime.test_perform import asynchronous, until

ORDERS = [f"orders/{number}" for number in range(20)]


class Walked:
    """Remembers what was visited; stays at a document while ``open`` is not set."""

    def __init__(self) -> None:
        self.visits: list[tuple[Walk, str]] = []
        self.done: list[Walk] = []
        self.open = asyncio.Event()
        self.open.set()
        self.scans = Scans(self._names, self._visit, self.done.append, self._failed)

    async def _names(self, walk: Walk) -> list[str]:
        return ORDERS

    async def _visit(self, walk: Walk, document: str) -> bool:
        self.visits.append((walk, document))
        await self.open.wait()
        return True

    def _failed(self, error: BaseException) -> None:
        raise error


@asynchronous
async def test_all_walks_together_have_one_slice_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans_module, "SLICE_SECONDS", 0.0)
    walked = Walked()
    for number in range(5):
        walked.scans.begin(Scan(RecordingSession(str(number)), "orders"))
    most = 0
    while len(walked.done) < 5:
        before = len(walked.visits)
        await asyncio.sleep(0)
        most = max(most, len(walked.visits) - before)
    assert len(walked.visits) == 100 and most == 1
    monkeypatch.setattr(scans_module, "SLICE_SECONDS", 3_600.0)
    walked.scans.begin(Scan(RecordingSession("more"), "orders"))
    turns = 0
    while len(walked.done) < 6:
        await asyncio.sleep(0)
        turns += 1
    assert turns < 10


@asynchronous
async def test_one_walk_at_a_time_for_the_subscriptions_of_a_session() -> None:
    walked, session = Walked(), RecordingSession()
    walks = [Scan(session, f"c{number}") for number in range(3)]
    for _ in range(4):
        for walk in walks:
            walked.scans.begin(walk)
    walked.scans.begin(Bring(session, ("menu/1",)))
    assert walked.scans.busy(session) and not walked.scans.busy(RecordingSession("other"))
    await until(lambda: len(walked.done) == 4)
    order = [walk for walk, _ in walked.visits if isinstance(walk, Scan)]
    assert order == [walk for walk in walks for _ in ORDERS]
    assert not walked.scans._queues and not walked.scans.busy(session)
    walked.scans.begin(Bring(session, ("menu/1",)))
    assert walked.scans.busy(session) and not walked.scans.busy(RecordingSession("other"))
    await until(lambda: len(walked.done) == 5)


@asynchronous
async def test_a_walk_asked_for_in_the_middle_is_made_once_more_after_a_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scans_module, "REST", 1e9)
    walked, walk = Walked(), Scan(RecordingSession(), "orders")
    walked.open.clear()
    walked.scans.begin(walk)
    await until(lambda: len(walked.visits) == 1)
    for _ in range(3):
        walked.scans.begin(walk)
    monkeypatch.setattr(scans_module, "LONGEST_REST_SECONDS", 0.05)
    walked.open.set()
    await until(lambda: len(walked.visits) == 20)
    assert walked.done == []
    (until_then,) = walked.scans._rests.values()
    assert until_then > asyncio.get_running_loop().time()
    await until(lambda: walked.done == [walk])
    assert len(walked.visits) == 40 and asyncio.get_running_loop().time() >= until_then
