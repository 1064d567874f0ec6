"""The file of tokens: what is in it, and what a token reaches."""

import tomllib
from typing import Any

import pytest

from gateway.core.errors import GatewayError
from gateway.core.hub_tokens import (
    EVERY,
    MAX_TOKENS,
    READ,
    WRITE,
    is_space,
    lines,
    made,
    read_tokens,
    token_of,
)

SHOP = "a1" * 16
ONE, TWO = made(b"1" * 32), made(b"2" * 32)


def test_a_token_is_text_that_says_what_it_is() -> None:
    assert made(bytes(32)) == "sgh_" + "A" * 43
    assert ONE != TWO


def test_what_is_printed_is_read_again_and_holds_no_token() -> None:
    text = lines('Büro "1"\\', ONE, [READ, WRITE], [SHOP, "share:menü"])
    text += lines("two", TWO, [READ], [EVERY])
    assert ONE not in text and TWO not in text
    one, two = read_tokens(text)
    assert one.name == 'Büro "1"\\' and one.scopes == {READ, WRITE}
    assert one.reaches(SHOP) and one.reaches("share:menü") and not one.reaches("b2" * 16)
    assert two.reaches("b2" * 16)
    assert token_of([one, two], ONE) is one and token_of([one, two], TWO) is two
    assert token_of([one, two], made(b"3" * 32)) is None
    assert token_of([], ONE) is None
    assert token_of([one, two], "\ud800") is None


def test_an_empty_file_lets_nobody_in() -> None:
    assert read_tokens("") == []


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""}, {"name": "x" * 101}, {"name": "a\nb"}, {"name": 1}, {"sha256": "x"},
        {"sha256": "A" * 64}, {"sha256": 5}, {"scopes": []}, {"scopes": ["admin"]},
        {"scopes": "read"}, {"scopes": [1]}, {"stores": []}, {"stores": ["x"]},
        {"stores": ["share:"]},
        {"stores": ["share:a/b"]}, {"more": 1},
    ],
)  # fmt: skip
def test_what_is_wrong_in_it_is_said_without_a_digest(change: dict[str, Any]) -> None:
    values: dict[str, Any] = {
        "name": "a", "sha256": "c" * 64, "scopes": ["read"], "stores": ["*"], **change,
    }  # fmt: skip
    text = "[[token]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())
    tomllib.loads(text)
    with pytest.raises(GatewayError) as caught:
        read_tokens(text)
    assert caught.value.code == "hub-tokens" and "ccc" not in caught.value.sentence


@pytest.mark.parametrize(
    "text", ["x", "token = 1", "token = [1]", "other = 1", "[[token]]\n" * (MAX_TOKENS + 1)]
)
def test_what_is_no_file_of_tokens(text: str) -> None:
    with pytest.raises(GatewayError):
        read_tokens(text)


def test_what_cannot_be_read_again_is_not_printed() -> None:
    with pytest.raises(GatewayError):
        lines("a", ONE, ["read"], ["shop"])


@pytest.mark.parametrize("name", [SHOP, "share:menu", "share:ü"])
def test_names_of_spaces(name: str) -> None:
    assert is_space(name)


@pytest.mark.parametrize(
    "name", ["", "A1" * 16, SHOP + "\n", "share:", "share:a/b", "share:" + "x" * 65]
)
def test_names_of_none(name: str) -> None:
    assert not is_space(name)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\n", "\\n") + '"'
    return str(value)
