"""lib0 building blocks, read strictly."""

import pytest
from pycrdt import Decoder, Encoder

from gateway.core import varint as vi
from gateway.core.errors import PeerError

NUMBERS = [0, 1, 127, 128, 300, 2**31, 2**32, vi.MAX_VARINT]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_what_others_write_and_read(number: int) -> None:
    encoder = Encoder()
    encoder.write_var_uint(number)
    assert vi.write_varint(number) == encoder.to_bytes()
    assert vi.read_varint(encoder.to_bytes(), 0) == (number, len(encoder.to_bytes()))
    assert Decoder(vi.write_varint(number)).read_var_uint() == number


@pytest.mark.parametrize("number", [-1, vi.MAX_VARINT + 1])
def test_what_does_not_fit_is_our_mistake(number: int) -> None:
    with pytest.raises(ValueError, match="not between"):
        vi.write_varint(number)


@pytest.mark.parametrize(
    "data", ["", "80", "8000", "ffffffffffffff7f", "ff" * 12, "ffffffffffffff1f"]
)
def test_broken_numbers(data: str) -> None:
    with pytest.raises(PeerError):
        vi.read_varint(bytes.fromhex(data), 0)


def test_texts_and_bytes() -> None:
    assert vi.read_string(vi.write_string("café"), 0) == ("café", 6)
    assert vi.read_bytes(b"\x00\x02ab", 1) == (b"ab", 4)
    with pytest.raises(PeerError):
        vi.read_string(b"\x02\xc3\x28", 0)
    with pytest.raises(PeerError):
        vi.read_bytes(b"\x03ab", 0)
