"""Each asker has its turn."""

import asyncio
from collections import deque

import pytest

from gateway.core.cloud_answers import Address
from gateway.runtime import cloud_questions
from gateway.runtime.cloud_answering import Question
from gateway.runtime.cloud_questions import MAX_OF_ONE, Questions

ONE, TWO = Address("a", "1"), Address("b", "2")
SAME = Address("a", "3")


def question(asker: Address, slices: int = 1) -> Question:
    asks = deque([("orders/1", b"\0")] * slices)
    return Question(10, asker, asks, None)


async def go_on(questions: Questions) -> Address:
    found = await questions.next()
    found.asks.popleft()
    questions.went_on(found)
    return found.asker


def test_askers_take_turns() -> None:
    async def work() -> None:
        questions = Questions()
        for one in (question(ONE, 3), question(ONE), question(TWO), question(TWO)):
            assert questions.add(one)
        assert [await go_on(questions) for _ in range(6)] == [ONE, TWO, ONE, TWO, ONE, ONE]
        assert questions.count == 0

    asyncio.run(work())


def test_of_a_store_one_question_is_answered_at_a_time() -> None:
    async def work() -> None:
        questions = Questions()
        for one in (question(ONE, 2), question(ONE), question(SAME, 2), question(TWO, 3)):
            assert questions.add(one)
        told = [await go_on(questions) for _ in range(8)]
        assert told == [ONE, TWO, ONE, TWO, SAME, TWO, SAME, ONE]

    asyncio.run(work())


def test_a_store_asks_so_much_and_less_when_all_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_questions, "MAX_STORE_BYTES", 19)
    monkeypatch.setattr(cloud_questions, "MAX_BYTES", 39)
    questions = Questions()
    assert all(questions.add(question(ONE)) for _ in range(2)) and not questions.add(question(SAME))
    assert questions.add(question(TWO)) and questions.add(question(Address("c", "1")))
    assert not questions.add(question(TWO)) and questions.add(question(Address("d", "1")))


def test_one_asker_has_so_many() -> None:
    questions = Questions()
    assert all(questions.add(question(ONE)) for _ in range(MAX_OF_ONE))
    assert not questions.add(question(ONE)) and questions.add(question(TWO))
    assert questions.count == MAX_OF_ONE + 1


def test_of_too_much_no_more_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        monkeypatch.setattr(cloud_questions, "FULL_BYTES", 19)
        questions = Questions()
        questions.add(question(ONE))
        await questions.room()
        questions.add(question(TWO, 2))
        waiting = asyncio.ensure_future(questions.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        await go_on(questions)
        await waiting

    asyncio.run(work())


def test_who_comes_is_waited_for() -> None:
    async def work() -> None:
        questions = Questions()
        waiting = asyncio.ensure_future(go_on(questions))
        await asyncio.sleep(0)
        questions.add(question(TWO))
        assert await waiting == TWO

    asyncio.run(work())
