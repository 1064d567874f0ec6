"""The recovery code: read however it was typed, refused when it is damaged."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import GatewayError
from gateway.core.recovery import recovery_code, root_key
from tests.vectors import make_tickets as made

STORED = json.loads(made.VECTORS.read_text())["store"]
CODE: str = STORED["recovery_code"]
DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def refused(text: str) -> str:
    with pytest.raises(GatewayError) as caught:
        root_key(text)
    assert caught.value.code == "recovery-code"
    assert caught.value.exit_code == 65
    return str(caught.value)


def test_vector_is_written_and_read() -> None:
    key = bytes.fromhex(STORED["root_private"])
    assert recovery_code(key) == CODE
    assert root_key(CODE) == key
    assert len(CODE) == 74


def test_it_is_read_leniently() -> None:
    key = root_key(CODE)
    lenient = [
        CODE.lower(),
        CODE.replace("-", ""),
        CODE.replace("-", " "),
        CODE.replace("-", " \u2013 "),
        f"\n\t{CODE}\r\n",
    ]
    assert [root_key(text) for text in lenient] == [key] * len(lenient)


def test_what_is_taken_for_another_is_understood() -> None:
    key = bytes(range(32))
    code = recovery_code(key)
    assert "0" in code[5:] and "1" in code[5:]
    assert root_key(code.replace("0", "O").replace("1", "I")) == key
    assert root_key(code.replace("0", "o").replace("1", "l")) == key


def test_every_wrong_character_is_found() -> None:
    for place in range(5, len(CODE)):
        for digit in DIGITS:
            if digit != CODE[place] != "-":
                assert "is wrong" in refused(CODE[:place] + digit + CODE[place + 1 :])


def test_swapped_neighbours_are_found() -> None:
    digits = CODE[5:].replace("-", "")
    for place in range(len(digits) - 1):
        one, two = digits[place], digits[place + 1]
        if one != two:
            assert "is wrong" in refused(f"SGR1{digits[:place]}{two}{one}{digits[place + 2 :]}")


def test_characters_that_are_missing_or_too_many_are_counted() -> None:
    assert "has 55 characters" in refused(CODE[:-1])
    assert "has 57 characters" in refused(CODE + "0")
    assert "has 0 characters" in refused("SGR1")
    refused(CODE * 1_000)


@pytest.mark.parametrize("character", ["U", "u", "!", "\u00e9", "\U0001f600", "\x00"])
def test_a_character_that_no_code_has_is_located(character: str) -> None:
    assert refused(CODE[:10] + character + CODE[11:]).startswith("Group 2 ")


def test_something_else_is_told() -> None:
    assert "begins with SGR1" in refused("")
    assert "begins with SGR1" in refused(CODE[5:])
    assert "another version" in refused("SGR2" + CODE[4:])


@given(st.binary(min_size=32, max_size=32))
def test_keys_come_back(key: bytes) -> None:
    assert root_key(recovery_code(key)) == key


@given(st.text(max_size=90))
def test_no_text_raises_anything_else(text: str) -> None:
    refused(text)
    refused("SGR1" + text)
