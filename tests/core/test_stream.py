"""Messages over a stream that is cut anywhere."""

import random

import pytest

from gateway.core.errors import Code, PeerError
from gateway.core.noise_transport import SEALED_BYTES
from gateway.core.segments import PATIENCE_SECONDS
from gateway.core.stream import Stream, framed


def refused(stream: Stream, data: bytes) -> Code:
    with pytest.raises(PeerError) as caught:
        stream.receive(data, 0.0)
    return caught.value.code


@pytest.mark.parametrize("seed", range(200))
def test_messages_arrive_however_the_stream_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    sizes = [1, 45, 127, 128, 16_383, 16_384, chance.randrange(1, 40_000)]
    sent = [chance.randbytes(chance.choice(sizes)) for _ in range(chance.randrange(1, 12))]
    data = b"".join(map(framed, sent))
    stream, given = Stream(), []
    while data:
        cut = chance.choice([1, 2, 3, 20, 512, 100_000])
        given += stream.receive(data[:cut], 0.0)
        data = data[cut:]
    assert given == sent
    stream.check(1_000.0)


def test_the_longest_message_is_taken_and_no_longer_one() -> None:
    assert Stream().receive(framed(bytes(SEALED_BYTES)), 0.0) == [bytes(SEALED_BYTES)]
    assert refused(Stream(SEALED_BYTES - 1), framed(bytes(SEALED_BYTES))) is Code.TOO_BIG


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("00", Code.MALFORMED),
        ("8400", Code.MALFORMED),
        ("808000", Code.MALFORMED),
        ("d18010", Code.TOO_BIG),
        ("808080", Code.TOO_BIG),
    ],
)
def test_a_length_that_is_none_ends_the_link(data: str, code: Code) -> None:
    assert refused(Stream(), bytes.fromhex(data)) is code


def test_a_stranger_is_given_less_room() -> None:
    assert refused(Stream(100), framed(bytes(101))) is Code.TOO_BIG
    known = Stream(100)
    known.limit_bytes = SEALED_BYTES
    assert known.receive(framed(bytes(101)), 0.0) == [bytes(101)]


@pytest.mark.parametrize("begun", ["84", "0461"])
def test_a_message_that_goes_no_further_is_given_up(begun: str) -> None:
    stream = Stream()
    stream.receive(bytes.fromhex(begun), 5.0)
    stream.check(5.0 + PATIENCE_SECONDS - 0.1)
    with pytest.raises(PeerError) as caught:
        stream.check(5.0 + PATIENCE_SECONDS)
    assert caught.value.code is Code.TIMEOUT
