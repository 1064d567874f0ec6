"""Deterministic CBOR: RFC 8949's examples, one form for each value, and bombs."""

import contextlib
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.cbor import MAX_NESTING, MAX_NUMBER, decode, encode
from gateway.core.errors import Code, PeerError
from tests.vectors import make_tickets as made

STORED = json.loads(made.VECTORS.read_text())

# RFC 8949 appendix A, those that hold what is used here.
RFC_8949: list[tuple[Any, str]] = [
    (0, "00"), (1, "01"), (10, "0a"), (23, "17"), (24, "1818"), (25, "1819"), (100, "1864"),
    (1000, "1903e8"), (1000000, "1a000f4240"), (1000000000000, "1b000000e8d4a51000"),
    (-1, "20"), (-10, "29"), (-100, "3863"), (-1000, "3903e7"),
    (b"", "40"), (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"), ("a", "6161"), ("IETF", "6449455446"), ('"\\', "62225c"), ("\u00fc", "62c3bc"),
    ("\u6c34", "63e6b0b4"), ("\U00010151", "64f0908591"),
    ([], "80"), ([1, 2, 3], "83010203"), ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"), ({1: 2, 3: 4}, "a201020304"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "data"), RFC_8949)
def test_examples_of_the_rfc(value: Any, data: str) -> None:
    assert encode(value) == bytes.fromhex(data)
    assert decode(bytes.fromhex(data)) == value


@pytest.mark.parametrize("entry", STORED["refused_cbor"], ids=lambda e: e["name"])
def test_what_has_another_form_is_refused(entry: dict) -> None:
    with pytest.raises(PeerError) as caught:
        decode(bytes.fromhex(entry["hex"]))
    assert caught.value.code is Code.MALFORMED


values = st.recursive(
    st.integers(-MAX_NUMBER - 1, MAX_NUMBER) | st.binary(max_size=300) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=30)
        | st.dictionaries(st.integers(-MAX_NUMBER, MAX_NUMBER), inner, max_size=30)
    ),
    max_leaves=20,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(values.filter(lambda value: depth(value) <= MAX_NESTING))
def test_values_come_back(value: Any) -> None:
    assert decode(encode(value)) == value


@given(st.binary(max_size=60))
def test_what_is_read_has_no_other_form(data: bytes) -> None:
    with contextlib.suppress(PeerError):
        assert encode(decode(data)) == data


def test_numbers_that_have_no_form_are_not_written() -> None:
    for number in (MAX_NUMBER + 1, -MAX_NUMBER - 2):
        with pytest.raises(ValueError):
            encode(number)


def test_order_of_keys_is_that_of_their_bytes() -> None:
    assert encode({-1: 0, 100: 0, 10: 0}).hex() == "a30a00186400" + "2000"


def test_nesting_ends() -> None:
    def nested(levels: int) -> Any:
        return [nested(levels - 1)] if levels else 0

    assert decode(encode(nested(MAX_NESTING))) == nested(MAX_NESTING)
    for bomb in (encode(nested(MAX_NESTING + 1)), b"\x81" * 100_000, b"\xa1\x01" * 100_000):
        with pytest.raises(PeerError):
            decode(bomb)


@pytest.mark.parametrize("kind", range(2, 6))
@pytest.mark.parametrize("claim", ["1903e8", "1a7fffffff", "1b001fffffffffffff"])
def test_what_is_claimed_is_not_made(kind: int, claim: str) -> None:
    head = bytearray(bytes.fromhex(claim))
    head[0] |= kind << 5
    tracemalloc.start()
    try:
        with pytest.raises(PeerError):
            decode(bytes(head) + bytes(100))
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()
