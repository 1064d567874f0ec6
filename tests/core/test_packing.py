"""Deflating with the preset dictionary."""

import contextlib
import json
import random
import zlib
from base64 import b64encode
from pathlib import Path

import pytest

from gateway.core.dictionary import DICTIONARY
from gateway.core.errors import Code, PeerError
from gateway.core.packing import pack, unpack
from tests.vectors.learn_dictionary import python_module, traffic, typescript_module
from tests.vectors.make_packing import VECTORS

LIMIT = 262_144


def refused(packed: bytes, limit: int = LIMIT) -> Code:
    with pytest.raises(PeerError) as caught:
        unpack(packed, limit)
    return caught.value.code


def test_the_shared_vectors_are_read() -> None:
    vectors = json.loads(VECTORS.read_text())
    assert vectors["dictionary"] == DICTIONARY.hex()
    for case in vectors["cases"]:
        plain = bytes.fromhex(case["plain"])
        assert unpack(bytes.fromhex(case["packed"]), len(plain)) == plain
        assert unpack(pack(plain), len(plain)) == plain


def test_both_modules_hold_the_same_dictionary() -> None:
    text = b64encode(DICTIONARY).decode()
    root = Path(__file__).parents[2]
    assert (root / "gateway/core/dictionary.py").read_text() == python_module(text)
    assert (root / "web/client/src/dictionary.ts").read_text() == typescript_module(text)


def test_anything_comes_back_as_it_was() -> None:
    chance = random.Random(1)
    for length in (1, 20, 1_000, 100_000, LIMIT):
        plain = chance.randbytes(length)
        assert unpack(pack(plain), LIMIT) == plain


def test_orders_shrink_by_more_than_half_and_status_changes_by_a_quarter() -> None:
    messages = list(traffic(9, 20, 10))
    for share, chosen in (
        (0.5, [message for message in messages if len(message) > 150]),
        (0.75, [message for message in messages if len(message) <= 150]),
    ):
        assert sum(len(pack(one)) for one in chosen) < share * sum(map(len, chosen))


def test_a_bomb_makes_no_more_than_the_limit() -> None:
    bomb = pack(bytes(LIMIT + 1))
    assert len(bomb) < 400
    assert refused(bomb) is Code.TOO_BIG
    assert unpack(pack(bytes(LIMIT)), LIMIT) == bytes(LIMIT)


def test_damage_is_named() -> None:
    packed = pack(b"an order with a note, and another order with a note")
    assert refused(b"") is Code.MALFORMED
    assert refused(packed[:-1]) is Code.MALFORMED
    assert refused(packed + b"\0") is Code.MALFORMED
    assert refused(b"\xff" + packed) is Code.MALFORMED
    assert refused(zlib.compress(b"with a header")) is Code.MALFORMED


def test_random_damage_is_an_error_or_something_within_the_limit() -> None:
    chance = random.Random(4)
    packed = pack(b"".join(traffic(5, 1, 4)))
    for _ in range(2_000):
        damaged = bytearray(packed)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        with contextlib.suppress(PeerError):
            assert len(unpack(bytes(damaged), 10_000)) <= 10_000
