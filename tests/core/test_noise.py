"""Handshakes: the published ones byte by byte, and everything that must not succeed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import noise as n
from gateway.core.errors import Code, PeerError
from gateway.core.noise_transport import MAX_NOISE_BYTES
from gateway.core.primitives import KeyPair
from tests.core.handshakes import case, run, sides, static_of
from tests.vectors import make_noise as made

STORED = json.loads(made.VECTORS.read_text())
PATTERNS = list(n.Pattern)
each_pattern = pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
# Sizes of handshake messages without payload, as docs/protocol.md says.
SIZES = {
    n.Pattern.IK: [96, 48],
    n.Pattern.IKPSK2: [96, 48],
    n.Pattern.XXPSK0: [48, 96, 64],
    n.Pattern.XX: [32, 96, 64],
}
each_message = pytest.mark.parametrize(
    ("pattern", "number"),
    [
        (pattern, number)
        for pattern in PATTERNS
        for number in range(len(SIZES[pattern]))
        # The first message of XX is a bare key: whatever it is, the next one tells.
        if (pattern, number) != (n.Pattern.XX, 0)
    ],
    ids=lambda value: value.name if isinstance(value, n.Pattern) else str(value),
)
# Points of low order, and equals of theirs above the prime 2^255-19 (cr.yp.to/ecdh.html).
_POINTS = [
    bytes.fromhex(point)
    for point in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
]
# The top bit is ignored (RFC 7748 section 5).
LOW_ORDER = _POINTS + [point[:-1] + bytes([point[-1] | 0x80]) for point in _POINTS]
each_point = pytest.mark.parametrize("point", LOW_ORDER, ids=lambda point: point.hex())


def reader_of(pattern: n.Pattern, number: int, **changes: Any) -> tuple[n.Handshake, bytes]:
    """Who is to read message ``number``, and that message."""
    initiator, responder = sides(pattern, **changes)
    run(initiator, responder, until=number)
    writer, reader = (initiator, responder) if number % 2 == 0 else (responder, initiator)
    return reader, writer.write()


def refuse(reader: n.Handshake, message: bytes, code: Code) -> None:
    """It refuses the message and everything from then on."""
    with pytest.raises(PeerError) as raised:
        reader.read(message)
    assert raised.value.code is code
    assert not reader.done
    for verb in (reader.write, reader.split, lambda: reader.read(message)):
        with pytest.raises(RuntimeError):
            verb()


def test_the_vectors_are_current() -> None:
    assert made.vectors(STORED["published"], STORED["sources"]) == STORED


@pytest.mark.parametrize("case", STORED["published"] + STORED["ours"], ids=lambda c: c["name"])
def test_a_handshake_of_the_vectors(case: made.Json) -> None:
    ends = (made.side(case, initiator=True), made.side(case, initiator=False))
    for number, entry in enumerate(case["handshake"]):
        writer, reader = ends[number % 2], ends[1 - number % 2]
        message = writer.write(bytes.fromhex(entry["payload"]))
        assert message.hex() == entry["message"]
        assert reader.read(message).hex() == entry["payload"]
    assert ends[0].handshake_hash == ends[1].handshake_hash
    assert case["hash"] in (None, ends[0].handshake_hash.hex())
    transports = [end.split() for end in ends]
    for entry in case["transport"]:
        sender, receiver = transports if entry["initiator"] else transports[::-1]
        message = sender.seal(bytes.fromhex(entry["batch"]))
        assert message.hex() == entry["message"]
        assert receiver.open(message).hex() == entry["batch"]


@each_pattern
def test_both_sides_know_each_other_in_the_end(pattern: n.Pattern) -> None:
    initiator, responder = sides(pattern)
    assert initiator.is_writing and not responder.is_writing
    assert [len(message) for message in run(initiator, responder)] == SIZES[pattern]
    assert initiator.done and responder.done
    assert initiator.remote_static == static_of("responder")
    assert responder.remote_static == static_of("initiator")
    assert initiator.handshake_hash == responder.handshake_hash


@given(
    pattern=st.sampled_from(PATTERNS),
    payloads=st.lists(st.binary(max_size=200), min_size=3, max_size=3),
    prologue=st.binary(max_size=40),
)
def test_any_payload_and_prologue(
    pattern: n.Pattern, payloads: list[bytes], prologue: bytes
) -> None:
    described = case(pattern, prologue=prologue.hex())
    ends = [made.side(described, initiator=role) for role in (True, False)]
    for payload in payloads[: len(SIZES[pattern])]:
        assert ends[1].read(ends[0].write(payload)) == payload
        ends.reverse()
    assert ends[0].done and ends[1].done


@each_message
def test_a_message_cut_off_anywhere(pattern: n.Pattern, number: int) -> None:
    length = SIZES[pattern][number]
    for size in range(length):
        reader, message = reader_of(pattern, number)
        assert len(message) == length
        refuse(reader, message[:size], Code.MALFORMED)


@given(pattern=st.sampled_from(PATTERNS), number=st.integers(0, 2), message=st.binary(max_size=300))
def test_anything_else_is_refused(pattern: n.Pattern, number: int, message: bytes) -> None:
    number = max(min(number, len(SIZES[pattern]) - 1), pattern is n.Pattern.XX)
    reader, _ = reader_of(pattern, number)
    with pytest.raises(PeerError) as raised:
        reader.read(message)
    assert raised.value.code in (Code.MALFORMED, Code.UNAUTHORISED)


@each_message
def test_a_message_with_any_byte_changed(pattern: n.Pattern, number: int) -> None:
    for place in range(SIZES[pattern][number]):
        reader, message = reader_of(pattern, number)
        # The top bit of a point is ignored in the exchange, not in the hash.
        bit = 0x80 if place % 32 == 31 else 1
        changed = message[:place] + bytes([message[place] ^ bit]) + message[place + 1 :]
        refuse(reader, changed, Code.UNAUTHORISED)


@each_message
def test_a_byte_more(pattern: n.Pattern, number: int) -> None:
    reader, message = reader_of(pattern, number)
    refuse(reader, message + b"\0", Code.UNAUTHORISED)


@each_point
@each_message
def test_an_ephemeral_key_of_low_order(pattern: n.Pattern, number: int, point: bytes) -> None:
    if number == 2:
        return  # It has no ephemeral key.
    reader, message = reader_of(pattern, number)
    # Without an exchange in this message it is the tag that does not fit.
    code = Code.UNAUTHORISED if (pattern, number) == (n.Pattern.XXPSK0, 0) else Code.MALFORMED
    refuse(reader, point + message[32:], code)


class Owner(KeyPair):
    """Says that another key is its own."""

    def __init__(self, private: bytes, public: bytes) -> None:
        super().__init__(private)
        self.public = public


@each_point
def test_a_static_key_of_low_order(point: bytes) -> None:
    static = Owner(bytes(range(32)), point)
    ephemeral = KeyPair(bytes(range(1, 33)))
    secrets = n.Secrets(static, ephemeral, static_of("responder"))
    prologue = n.prologue(n.Pattern.IK)
    initiator = n.Handshake(n.Pattern.IK, True, secrets, prologue)
    _, responder = sides(n.Pattern.IK)
    refuse(responder, initiator.write(), Code.MALFORMED)


@each_point
def test_a_responder_of_low_order_is_not_called(point: bytes) -> None:
    pair = KeyPair(bytes(range(32)))
    secrets = n.Secrets(pair, KeyPair(bytes(range(1, 33))), point)
    initiator = n.Handshake(n.Pattern.IK, True, secrets, b"")
    with pytest.raises(PeerError) as raised:
        initiator.write()
    assert raised.value.code is Code.MALFORMED


@each_pattern
def test_a_wrong_prologue(pattern: n.Pattern) -> None:
    number = int(pattern is n.Pattern.XX)
    reader, message = reader_of(pattern, number, prologue=b"store-gateway/2".hex())
    refuse(reader, message, Code.UNAUTHORISED)


def test_a_wrong_psk_in_xxpsk0_is_found_by_the_responder_at_once() -> None:
    reader, message = reader_of(n.Pattern.XXPSK0, 0, psk=bytes(32).hex())
    refuse(reader, message, Code.UNAUTHORISED)


def test_a_wrong_psk_in_ikpsk2_is_found_by_the_initiator() -> None:
    reader, message = reader_of(n.Pattern.IKPSK2, 1, psk=bytes(32).hex())
    refuse(reader, message, Code.UNAUTHORISED)


def test_in_ikpsk2_the_secret_is_proven_only_by_what_follows() -> None:
    """The responder is done whoever asks; the first record of the transport tells."""
    initiator, responder = sides(n.Pattern.IKPSK2, psk=bytes(32).hex())
    responder.read(initiator.write())
    message = responder.write()
    assert responder.done
    refuse(initiator, message, Code.UNAUTHORISED)
    honest, friend = sides(n.Pattern.IKPSK2)
    run(honest, friend)
    with pytest.raises(PeerError) as raised:
        responder.split().open(honest.split().seal(b"let me in"))
    assert raised.value.code is Code.UNAUTHORISED


@pytest.mark.parametrize("place", range(32))
def test_in_xx_a_changed_first_message_is_found_by_the_initiator(place: int) -> None:
    initiator, responder = sides(n.Pattern.XX)
    message = bytearray(initiator.write())
    message[place] ^= 0x80 if place == 31 else 1
    responder.read(bytes(message))
    refuse(initiator, responder.write(), Code.UNAUTHORISED)


@each_point
def test_in_xx_a_first_key_of_low_order_is_not_answered(point: bytes) -> None:
    _, responder = sides(n.Pattern.XX)
    responder.read(point)
    with pytest.raises(PeerError) as raised:
        responder.write()
    assert raised.value.code is Code.MALFORMED


@pytest.mark.parametrize("size", [0, 31])
def test_in_xx_a_first_message_that_is_cut_off(size: int) -> None:
    _, responder = sides(n.Pattern.XX)
    refuse(responder, bytes(size), Code.MALFORMED)


def test_another_responder_cannot_read() -> None:
    keys = {"static": bytes(range(32)).hex(), "ephemeral": bytes(range(32)).hex()}
    reader, message = reader_of(n.Pattern.IK, 0, responder=keys)
    refuse(reader, message, Code.UNAUTHORISED)


@pytest.mark.parametrize("pattern", [n.Pattern.IK, n.Pattern.IKPSK2])
def test_a_handshake_of_another_pattern(pattern: n.Pattern) -> None:
    other = n.Pattern.IKPSK2 if pattern is n.Pattern.IK else n.Pattern.IK
    initiator, _ = sides(other)
    _, responder = sides(pattern)
    refuse(responder, initiator.write(), Code.UNAUTHORISED)


@each_pattern
def test_its_own_message_reflected(pattern: n.Pattern) -> None:
    initiator, _ = sides(pattern)
    with pytest.raises(PeerError):
        initiator.read(initiator.write())
    assert not initiator.done


@each_pattern
def test_a_recorded_handshake_opens_nothing(pattern: n.Pattern) -> None:
    """A replay gets as far as the first message of the responder's new ephemeral key."""
    initiator, responder = sides(pattern)
    recorded = run(initiator, responder)
    sealed = initiator.split().seal(b"an order")
    keys = made.KEYS["responder"] | {"ephemeral": bytes(range(32)).hex()}
    _, again = sides(pattern, responder=keys)
    assert again.read(recorded[0]) == b""
    assert again.write() != recorded[1]
    if len(recorded) == 3:
        refuse(again, recorded[2], Code.UNAUTHORISED)
        return
    with pytest.raises(PeerError) as raised:
        again.split().open(sealed)
    assert raised.value.code is Code.UNAUTHORISED


@pytest.mark.parametrize("size", [MAX_NOISE_BYTES + 1, 262_144])
@each_message
def test_a_message_that_is_too_long(pattern: n.Pattern, number: int, size: int) -> None:
    reader, _ = reader_of(pattern, number)
    refuse(reader, bytes(size), Code.TOO_BIG)


def test_the_longest_payload() -> None:
    initiator, responder = sides(n.Pattern.XXPSK0)
    payload = bytes(MAX_NOISE_BYTES - 48)
    message = initiator.write(payload)
    assert len(message) == MAX_NOISE_BYTES
    assert responder.read(message) == payload
    initiator, _ = sides(n.Pattern.XXPSK0)
    with pytest.raises(ValueError):
        initiator.write(payload + b"\0")
    with pytest.raises(RuntimeError):
        initiator.write()


@each_pattern
def test_out_of_turn_it_is_over(pattern: n.Pattern) -> None:
    for verb in ("write", "split"):
        _, responder = sides(pattern)
        with pytest.raises(RuntimeError, match="READING"):
            getattr(responder, verb)()
        with pytest.raises(RuntimeError, match="OVER"):
            responder.read(bytes(96))
    initiator, responder = sides(pattern)
    run(initiator, responder)
    initiator.split()
    with pytest.raises(RuntimeError, match="OVER"):
        initiator.split()
    with pytest.raises(RuntimeError, match="DONE"):
        responder.read(bytes(48))


@each_pattern
@pytest.mark.parametrize("initiator", [True, False])
def test_secrets_that_do_not_fit_the_pattern(pattern: n.Pattern, initiator: bool) -> None:
    pair = KeyPair(bytes(range(32)))
    knows = initiator and pattern in (n.Pattern.IK, n.Pattern.IKPSK2)
    remote = pair.public if knows else None
    psk = bytes(32) if pattern in made.SECRET else None
    n.Handshake(pattern, initiator, n.Secrets(pair, pair, remote, psk), b"")
    for wrong in (
        n.Secrets(pair, pair, None if knows else pair.public, psk),
        n.Secrets(pair, pair, remote, bytes(32) if psk is None else None),
        n.Secrets(pair, pair, remote, bytes(31)),
        n.Secrets(pair, pair, bytes(33), psk),
    ):
        with pytest.raises(ValueError):
            n.Handshake(pattern, initiator, wrong, b"")


def test_no_secret_is_printed() -> None:
    pair = KeyPair(bytes(range(32)))
    secrets = n.Secrets(pair, pair, pair.public, b"\x5a" * 32)
    assert "ZZ" not in repr(secrets) and bytes(range(32)).hex() not in repr(secrets)


def test_numbers_of_patterns() -> None:
    assert [n.known_pattern(number) for number in range(4)] == PATTERNS
    assert n.prologue(n.Pattern.XXPSK0) == b"store-gateway/1\x02"
    with pytest.raises(PeerError) as raised:
        n.known_pattern(4)
    assert raised.value.code is Code.VERSION
