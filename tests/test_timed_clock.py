"""Time that goes on faster: in order, over real sockets, and from where it was."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.support.timed_clock import STEP_SECONDS, TimedClock, loop_of


def run(clock: TimedClock, main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop_of(clock)) as runner:
        runner.run(main)


def test_time_that_is_wanted_passes_at_once_and_timers_are_in_order(tmp_path: Path) -> None:
    order: list[str] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append(name)

    async def main() -> None:
        clock.want(3_600.0)
        began = clock.monotonic()
        await asyncio.gather(wait("late", 3_000.0), wait("early", 1_000.0), wait("now", 0.0))
        assert 3_000.0 <= clock.monotonic() - began < 3_600.0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(500.0):
                await asyncio.Event().wait()

    with TimedClock(tmp_path / "clock") as clock:
        run(clock, main())
    assert order == ["now", "early", "late"]


def test_time_goes_on_from_where_it_was(tmp_path: Path) -> None:
    async def wait() -> None:
        await asyncio.sleep(3_600.0)

    with TimedClock(tmp_path / "clock") as clock:
        clock.want(5_000.0)
        run(clock, wait())
        before = clock.monotonic()
    with TimedClock(tmp_path / "clock") as clock:
        assert clock.monotonic() >= before
        assert clock.added >= 3_590.0
        assert clock.behind == 5_000.0 - clock.added


def test_no_time_passes_while_something_comes(tmp_path: Path) -> None:
    """Two who always have something to say over a real connection: nothing times out."""
    rounds = 200

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1):
            writer.write(data)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        clock.pace(quiet=0.5)
        clock.want(1e6)
        async with asyncio.timeout(60.0):
            for _ in range(rounds):
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
        assert clock.added == 0.0
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    with TimedClock(tmp_path / "clock") as clock:
        run(clock, main())


def test_who_waits_for_nothing_but_a_thread_is_woken_and_gets_later_too(tmp_path: Path) -> None:
    async def main() -> None:
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(woken.set))
        thread.start()
        await woken.wait()
        thread.join()
        woken.clear()

        def advance() -> None:
            clock.advance(3_600.0)
            loop.call_soon_threadsafe(woken.set)

        other = threading.Thread(target=advance)
        other.start()
        await woken.wait()
        other.join()

    with TimedClock(tmp_path / "clock") as clock:
        run(clock, main())
        assert clock.behind == 0.0 and clock.added == 3_600.0


def test_no_time_passes_while_a_call_is_under_way_in_a_thread(tmp_path: Path) -> None:
    async def main() -> None:
        go_on = threading.Event()
        clock.want(1e6)
        call = asyncio.ensure_future(asyncio.to_thread(go_on.wait))
        await asyncio.sleep(0)
        before = clock.added
        threading.Timer(0.1, go_on.set).start()
        await call
        assert clock.added == before
        await asyncio.sleep(3_600.0)
        assert clock.added >= before + 3_590.0

    with TimedClock(tmp_path / "clock") as clock:
        run(clock, main())


def test_time_goes_on_when_the_witnesses_have_looked(tmp_path: Path) -> None:
    async def main() -> None:
        clock.watch(2)
        clock.want(STEP_SECONDS)
        await asyncio.sleep(0.1)
        asked = clock.asked
        assert asked and not clock.added
        clock.saw(0, asked)
        await asyncio.sleep(0.1)
        assert (clock.asked, clock.added) == (asked, 0.0)
        clock.saw(1, asked)
        await asyncio.sleep(STEP_SECONDS)
        assert clock.added == STEP_SECONDS
        clock.watch(0)
        clock.want(5 * STEP_SECONDS)
        await asyncio.sleep(5 * STEP_SECONDS)

    with TimedClock(tmp_path / "clock") as clock:
        run(clock, main())


def test_time_that_runs_by_itself(tmp_path: Path) -> None:
    async def main() -> None:
        await asyncio.sleep(100.0)

    with TimedClock(tmp_path / "clock") as clock:
        clock.run_at(1_000.0)
        run(clock, main())
        assert clock.added >= 50.0
