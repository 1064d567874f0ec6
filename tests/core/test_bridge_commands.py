"""Commands: what is read, what is refused, and what is remembered."""

import json

import pytest

from gateway.core.bridge_commands import (
    MAX_NESTING,
    MAX_TRANSACTION,
    MOST_ANSWERS,
    Answers,
    Command,
    check_command,
    read_command,
)
from gateway.core.errors import GatewayError

PUT = {"transaction": "t", "verb": "put", "document": "orders/1", "content": {"a": 1}}


def command(**other: object) -> Command:
    return read_command(json.dumps({**PUT, **other}).encode())


def test_a_command_is_read() -> None:
    read = command(root="x")
    assert (read.transaction, read.verb) == ("t", "put")
    assert read.arguments == {"document": "orders/1", "content": {"a": 1}, "root": "x"}
    check_command(read, {"orders"})


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"\xff", b"{", b"[]", b"5", b'"put"', b"NaN", b'{"a": NaN}', b"[" * 10_000,
        b"\xef\xbb\xbf{}",
    ],
)  # fmt: skip
def test_what_is_no_command(payload: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        read_command(payload)
    assert caught.value.code == "bad-command"


def test_content_may_be_as_deep_as_a_document_takes() -> None:
    depth = MAX_NESTING - 1
    deep = b'{"content":' + b"[" * depth + b"]" * depth + b"}"
    assert read_command(deep).arguments
    with pytest.raises(GatewayError):
        read_command(deep.replace(b"[", b"[[").replace(b"]", b"]]"))


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"transaction": ""}, "bad-command"),
        ({"transaction": 5}, "bad-command"),
        ({"transaction": "x" * (MAX_TRANSACTION + 1)}, "bad-command"),
        ({"verb": "drop"}, "bad-command"),
        ({"verb": ["put"]}, "bad-command"),
        ({"document": 5}, "bad-command"),
        ({"document": "orders"}, "bad-name"),
        ({"document": "orders/../x"}, "bad-name"),
        ({"document": "menu/1"}, "forbidden"),
        ({"document": "orders2/1"}, "forbidden"),
    ],
)
def test_what_is_refused(other: dict[str, object], code: str) -> None:
    with pytest.raises(GatewayError) as caught:
        check_command(command(**other), {"orders"})
    assert caught.value.code == code


def test_an_answer_is_found_again_for_the_same_command_only() -> None:
    answers = Answers()
    assert answers.find(command()) is None
    answers.keep(command(), {"ok": True})
    # The order of keys and the spaces are no difference.
    again = read_command(json.dumps(dict(reversed(PUT.items())), indent=1).encode())
    assert answers.find(again) == {"ok": True}
    with pytest.raises(GatewayError) as caught:
        answers.find(command(content={"a": 2}))
    assert caught.value.code == "transaction-used"


def test_the_last_answers_are_kept() -> None:
    answers = Answers()
    for number in range(MOST_ANSWERS + 1):
        answers.keep(command(transaction=str(number)), {"number": number})
    assert answers.find(command(transaction="0")) is None
    assert answers.find(command(transaction="1")) == {"number": 1}
    assert answers.find(command(transaction=str(MOST_ANSWERS))) == {"number": MOST_ANSWERS}
