"""The rules of conftest.py catch what they are for: each is broken once in an inner run."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parent / "conftest.py"

LEAKS_A_THREAD = """
import threading

def test_it():
    threading.Thread(target=threading.Event().wait, name="forgotten", daemon=True).start()
"""

LEAKS_A_THREAD_FOR_EVER = LEAKS_A_THREAD.replace(", daemon=True", "")

BLOCKS_THE_LOOP = """
import asyncio, time

async def block():
    time.sleep(0.6)

def test_it():
    with asyncio.Runner(debug=True) as runner:
        runner.run(block())
"""

LOSES_A_FAILURE = """
import asyncio

async def fail():
    raise ValueError

async def main():
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

def test_it():
    asyncio.run(main())
"""

FORGETS_TO_AWAIT = """
import asyncio

async def main():
    asyncio.sleep(0)

def test_it():
    asyncio.run(main())
"""

IS_FINE = """
import asyncio, threading

async def main():
    await asyncio.to_thread(lambda: None)

def test_it():
    asyncio.run(main())
    thread = threading.Thread(target=lambda: None)
    thread.start()
"""


def outcome(pytester: pytest.Pytester, source: str) -> tuple[bool, str]:
    """Whether an inner run of the test passes, and what it says."""
    pytester.makeconftest(CONFTEST.read_text(encoding="utf-8"))
    pytester.makepyfile(source)
    arguments = ["-W", "error", "-p", "no:anyio", "-p", "no:cacheprovider"]
    result = pytester.runpytest_subprocess(*arguments, timeout=30)
    return result.ret == 0, result.stdout.str()


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (LEAKS_A_THREAD, "threads left behind: forgotten"),
        (LEAKS_A_THREAD_FOR_EVER, "threads left behind: forgotten"),
        (BLOCKS_THE_LOOP, "Executing <"),
        (LOSES_A_FAILURE, "Task exception was never retrieved"),
        (FORGETS_TO_AWAIT, "was never awaited"),
    ],
)
def test_a_broken_rule_fails_the_test(
    pytester: pytest.Pytester, source: str, complaint: str
) -> None:
    passed, said = outcome(pytester, source)
    assert not passed
    assert complaint in said


def test_a_good_test_passes(pytester: pytest.Pytester) -> None:
    passed, said = outcome(pytester, IS_FINE)
    assert passed, said
