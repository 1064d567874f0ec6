"""The store thread: order, groups, receipts only after the write, a full disk, a lost one."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from gateway.core.errors import GatewayError
from gateway.core.events import Compact, Persist, Receipt
from gateway.core.records import Change, StoreStatus
from gateway.runtime import writer as writer_module
from gateway.runtime.threads import Door
from gateway.runtime.writer import Writer
from tests.core.sessions import RecordingSession
from tests.runtime.memory import MemoryStore

Value = TypeVar("Value")


class Running:
    """A writer with a memory store, in a loop."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.stored: list[int] = []
        self.troubles: list[str] = []
        self.lost: list[GatewayError] = []
        self.changed = asyncio.Event()
        self.door = Door(asyncio.get_running_loop())
        self.writer = Writer(
            self.store, self.door, self._stored, self._note(self.troubles), self._note(self.lost)
        )
        self.writer.start()

    def persist(self, number: int, document: str = "o/1") -> None:
        change = Change(document, bytes([number]), "peer")
        self.writer.submit(Persist((change,), (Receipt(RecordingSession(), number),)))

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.stored) < count:
                self.changed.clear()
                await self.changed.wait()

    async def close(self) -> None:
        await asyncio.to_thread(self.writer.close)
        self.door.close()

    def _stored(self, receipts: Sequence[Receipt], records: int, size: int) -> None:
        assert records == len(receipts) or records == 0
        self.stored += [receipt.number for receipt in receipts]
        self.changed.set()

    def _note(self, kept: list[Value]) -> Callable[[Value], None]:
        def note(value: Value) -> None:
            kept.append(value)
            self.changed.set()

        return note


def test_receipts_come_in_order_after_the_write() -> None:
    async def run() -> None:
        running = Running()
        for number in range(1, 200):
            running.persist(number)
        await running.until(199)
        assert running.stored == list(range(1, 200))
        assert len(running.store.rows) == 199
        assert running.store.commits < 100, "what waits together is written together"
        await running.close()

    asyncio.run(run())


def test_nothing_is_acked_before_the_disk_has_it() -> None:
    async def run() -> None:
        running = Running()
        running.store.gate.clear()
        running.persist(1)
        await asyncio.sleep(0.05)
        assert running.stored == []
        running.store.gate.set()
        await running.until(1)
        await running.close()

    asyncio.run(run())


def test_a_load_sees_what_was_submitted_before_it() -> None:
    async def run() -> None:
        running = Running()
        running.persist(1)
        stored = await running.writer.load("o/1")
        assert stored.changes == (b"\x01",)
        running.writer.submit(Compact("o/1", b"snapshot", (b"early",)))
        assert (await running.writer.load("o/1")).changes == (b"snapshot", b"early")
        status = await running.writer.call(running.store.status)
        assert isinstance(status, StoreStatus)
        await running.close()

    asyncio.run(run())


def test_a_load_makes_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "GROUP_SECONDS", 3_600.0)

    async def run() -> None:
        running = Running()
        running.persist(1)
        await running.until(1)
        running.persist(2)
        assert (await running.writer.load("o/1")).changes == (b"\x01", b"\x02")
        assert running.store.commits == 1
        await running.close()
        assert running.store.commits == 2

    asyncio.run(run())


def test_a_full_disk_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "RETRY_SECONDS", 0.01)

    async def run() -> None:
        running = Running()
        running.store.failures = [GatewayError("store-full", "the disk is full")] * 3
        running.persist(1)
        running.persist(2)
        await running.until(2)
        assert running.troubles == ["the disk is full", ""]
        assert len(running.store.rows) == 2
        running.store.failures = [GatewayError("store-full", "the disk is full")]
        running.writer.submit(Compact("o/1", b"snapshot", ()))
        running.persist(3)
        await running.until(3)
        with pytest.raises(GatewayError, match="full"):
            await running.writer.call(lambda: running.store.backup(Path("x")))
        await running.close()

    asyncio.run(run())


def test_a_call_may_see_only_what_is_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "GROUP_SECONDS", 3_600.0)

    async def run() -> None:
        running = Running()
        running.persist(1)
        await running.until(1)
        running.persist(2)
        call = running.writer.call
        names: Callable[[], object] = lambda: len(running.store.rows)  # noqa: E731
        assert await call(names, commits=False) == 1 and running.stored == [1]
        assert await call(names) == 2
        await running.close()

    asyncio.run(run())


def test_while_the_disk_is_full_documents_are_read_with_what_waits() -> None:
    async def run() -> None:
        running = Running()
        running.persist(1)
        await running.until(1)
        running.store.failures = [GatewayError("store-full", "the disk is full")] * 100
        running.persist(2)
        running.persist(3)
        before = await running.writer.load("o/1")
        running.writer.submit(Compact("o/1", b"snapshot", ()))
        assert await running.writer.call(lambda: "status") == "status"
        assert await running.writer.load("o/1") == before
        assert len(before.changes) == 3 and len(running.store.rows) == 1
        await running.close()
        assert running.lost[0].code == "store-full"

    asyncio.run(run())


def test_an_error_in_a_call_is_for_who_called(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        running = Running()

        def fails() -> None:
            raise ZeroDivisionError("a test")

        with pytest.raises(GatewayError, match="a test"):
            await running.writer.call(fails)
        running.persist(1)
        await running.until(1)
        assert running.lost == []
        await running.close()

    asyncio.run(run())
    assert "a test" in caplog.text


def test_an_error_of_the_program_ends_the_writer_and_whoever_waits_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        running = Running()

        def fails(records: object) -> None:
            running.store.gate.wait()
            raise ZeroDivisionError("a test")

        monkeypatch.setattr(running.store, "append", fails)
        running.store.gate.clear()
        running.persist(1)
        call = asyncio.ensure_future(running.writer.call(lambda: None))
        await asyncio.sleep(0)
        running.store.gate.set()
        with pytest.raises(GatewayError, match="a test"):
            await call
        with pytest.raises(GatewayError, match="a test"):
            await running.writer.call(lambda: None)
        assert [error.code for error in running.lost] == ["internal"]
        await running.close()

    asyncio.run(run())
    assert "a test" in caplog.text


def test_a_lost_disk_ends_the_writer() -> None:
    async def run() -> None:
        running = Running()
        running.store.failures = [GatewayError("store-failed", "the disk failed")]
        running.persist(1)
        async with asyncio.timeout(10):
            while not running.lost:
                running.changed.clear()
                await running.changed.wait()
        assert running.lost[0].code == "store-failed"
        assert running.stored == [] and running.store.rows == []
        await running.close()

    asyncio.run(run())


def test_closing_writes_what_was_submitted_and_does_not_wait_for_a_full_disk() -> None:
    async def run() -> None:
        running = Running()
        for number in range(1, 50):
            running.persist(number)
        await running.close()
        assert len(running.store.rows) == 49
        full = Running()
        full.store.failures = [GatewayError("store-full", "full")] * 1_000
        full.persist(1)
        await full.close()
        assert full.store.rows == []

    asyncio.run(run())
