"""INFO, the opener of a link and its answer."""

import pytest

from gateway.core.errors import Code, PeerError
from gateway.core.opening import (
    INFO,
    PLACES,
    RX,
    SERVICE,
    TX,
    Answer,
    Info,
    Opener,
    read_answer,
    read_info,
    read_opener,
)

PEER = bytes(range(16))


def test_info_is_read_as_it_was_written() -> None:
    info = Info(PEER, 0x81, 3, 6)
    assert info.encoded().hex() == f"0101{PEER.hex()}81000306"
    assert read_info(info.encoded()) == info
    assert read_info(info.encoded() + b"more of a later version") == info


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (Info(PEER, 0, 8, 8).encoded()[:-1], Code.MALFORMED),
        (b"", Code.MALFORMED),
        (b"\x02\x03" + bytes(20), Code.VERSION),
        (b"\x00\x00" + bytes(20), Code.VERSION),
    ],
)
def test_info_that_cannot_be_used(value: bytes, code: Code) -> None:
    with pytest.raises(PeerError) as caught:
        read_info(value)
    assert caught.value.code is code


def test_an_opener_is_read_as_it_was_written() -> None:
    opener = Opener(1, b"abcd", 514)
    assert opener.encoded().hex() == "8001616263640202"
    assert read_opener(opener.encoded()) == opener
    assert read_opener(opener.encoded() + b"x") is None
    assert read_opener(b"\x00" + opener.encoded()[1:]) is None
    assert read_opener(b"\x80") is None


def test_an_answer_is_read_as_it_was_written() -> None:
    answer, refusal = Answer(b"abcd", 510), Answer(b"abcd", 4429, refused=True)
    assert answer.encoded().hex() == "800161626364fe01"
    assert refusal.encoded().hex() == "0001616263644d11"
    assert read_answer(answer.encoded()) == answer and read_answer(refusal.encoded()) == refusal
    assert read_answer(answer.encoded()[:-1]) is None
    assert read_answer(b"\x07" + answer.encoded()[1:]) is None


def test_each_place_has_a_characteristic_of_its_own() -> None:
    assert TX[0] == "9412d8d1-8fbe-4a58-90d7-c5fd0d0b6838" and TX[-1].startswith("9412d8d8-")
    assert len({SERVICE, INFO, RX, *TX}) == 3 + PLACES
