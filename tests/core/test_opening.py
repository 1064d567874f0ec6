"""INFO, the opener of a link and its answer."""

import pytest

from gateway.core.errors import Code, PeerError
from gateway.core.opening import (
    Answer,
    Info,
    Opener,
    read_answer,
    read_info,
    read_opener,
)

PEER = bytes(range(16))


def test_info_is_read_as_it_was_written() -> None:
    info = Info(PEER, 0x81, 8, 3)
    assert info.encoded().hex() == f"0101{PEER.hex()}81000803"
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
    answer = Answer(b"abcd", 7, 510)
    assert answer.encoded().hex() == "006162636407fe01"
    assert read_answer(answer.encoded()) == answer
    assert read_answer(answer.encoded()[:-1]) is None
    assert read_answer(b"\x07" + answer.encoded()[1:]) is None
