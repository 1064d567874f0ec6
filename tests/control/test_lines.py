"""Requests and answers as lines of a script."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.control.lines import Lines
from gateway.core.errors import GatewayError


class Scripted:
    """Satisfies ``LineIO``: says these lines, hears the answers."""

    def __init__(self, *lines: str) -> None:
        self._lines = list(lines)
        self.answers: list[dict[str, Any]] = []

    async def line(self) -> str | None:
        return self._lines.pop(0) if self._lines else None

    async def write(self, line: str) -> bool:
        self.answers.append(json.loads(line))
        return True


async def handler(verb: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    if verb == "fail":
        raise GatewayError("store-full", "the disk is full")
    if verb == "break":
        raise ValueError("a fault of ours")
    return {"verb": verb, **arguments}


def answers(*lines: str) -> list[dict[str, Any]]:
    scripted = Scripted(*lines)
    assert asyncio.run(Lines(scripted, handler).serve())
    return scripted.answers


def test_a_fault_of_ours_is_an_answer_and_the_next_request_is_heard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken, failed, good = answers(
        '{"verb": "break", "id": 1}', "", '{"verb": "fail", "id": 2}', '{"verb": "x", "id": 3}'
    )
    assert (broken["id"], broken["ok"], broken["code"]) == (1, False, "internal")
    assert (failed["id"], failed["code"]) == (2, "store-full")
    assert good == {"id": 3, "ok": True, "result": {"verb": "x"}}
    assert "a fault of ours" in caplog.text


@pytest.mark.parametrize("number", [0, 7, -1, 2**53, "one", "", "\ud800", "é"])
def test_an_id_comes_back_as_it_came(number: int | str) -> None:
    for verb in ("x", "fail", "break", 7, None):
        (said,) = answers(json.dumps({"verb": verb, "id": number}))
        assert said["id"] == number and said["ok"] == (verb == "x")


@pytest.mark.parametrize("number", ["true", "1.5", "null", "[1]", str(2**53 + 1), str(10**22)])
def test_another_id_is_refused(number: str) -> None:
    (said,) = answers(f'{{"verb": "x", "id": {number}}}')
    assert (said["id"], said["code"]) == (0, "bad-request")
    assert said["error"] == "id is a text, or a whole number within 2^53"


def test_failures_are_counted() -> None:
    scripted = Scripted('{"verb": "x"}', '{"verb": "fail"}', "nonsense", '{"verb": "x", "ok": 0}')
    lines = Lines(scripted, handler)
    asyncio.run(lines.serve())
    assert lines.failures == 2
