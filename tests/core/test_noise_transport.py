"""Batches on a protected link: cut, sealed, opened; anything else ends the link."""

import json
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import noise as n
from gateway.core.errors import Code, PeerError
from gateway.core.limits import Limits
from gateway.core.noise_state import MAX_NONCE
from gateway.core.noise_transport import MAX_NOISE_BYTES, PIECE_BYTES, Transport, sealed_bytes
from tests.core.handshakes import transports
from tests.vectors import make_noise as made

STORED = json.loads(made.VECTORS.read_text())


def refuse(receiver: Transport, message: bytes, code: Code = Code.UNAUTHORISED) -> None:
    """It refuses the message and everything from then on."""
    with pytest.raises(PeerError) as raised:
        receiver.open(message)
    assert raised.value.code is code
    with pytest.raises(RuntimeError):
        receiver.open(message)
    with pytest.raises(RuntimeError):
        receiver.seal(b"batch")


def test_the_sealed_batches_of_the_vectors() -> None:
    sender, receiver = transports()
    for entry in STORED["sealed"]:
        batch = made.batch(entry["batch_bytes"])
        message = sender.seal(batch)
        assert len(message) == entry["message_bytes"] == sealed_bytes(len(batch))
        assert sha256(message).hexdigest() == entry["sha256"]
        assert receiver.open(message) == batch


@settings(max_examples=30)
@given(
    pattern=st.sampled_from(list(n.Pattern)),
    batches=st.lists(
        st.tuples(
            st.booleans(),
            st.binary(min_size=1, max_size=8),
            st.sampled_from([1, 2, PIECE_BYTES // 4, PIECE_BYTES // 2 + 1]),
        ),
        max_size=8,
    ),
)
def test_what_is_sealed_opens(pattern: n.Pattern, batches: list[tuple[bool, bytes, int]]) -> None:
    ends = transports(pattern)
    for initiator, start, times in batches:
        sender, receiver = ends if initiator else ends[::-1]
        message = sender.seal(start * times)
        assert len(message) == sealed_bytes(len(start) * times)
        assert receiver.open(message) == start * times


def test_the_largest_batch() -> None:
    assert sealed_bytes(Limits().message_bytes) == 262_224
    sender, receiver = transports()
    batch = made.batch(Limits().message_bytes)
    assert receiver.open(sender.seal(batch)) == batch


def test_a_message_cut_off_anywhere() -> None:
    sealed = transports()[0].seal(b"a batch")
    for size in range(len(sealed)):
        code = Code.UNAUTHORISED if size > 16 else Code.MALFORMED
        refuse(transports()[1], sealed[:size], code)


def test_a_message_with_any_byte_changed() -> None:
    sealed = transports()[0].seal(b"a batch")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        refuse(transports()[1], bytes(changed))


@pytest.mark.parametrize("size", range(17))
def test_a_piece_without_content(size: int) -> None:
    """Also behind a whole piece, and before anything is decrypted."""
    sealed = transports()[0].seal(bytes(PIECE_BYTES + 10))
    refuse(transports()[1], bytes(size), Code.MALFORMED)
    if size:
        refuse(transports()[1], sealed[: MAX_NOISE_BYTES + size], Code.MALFORMED)


def test_pieces_in_another_order() -> None:
    sealed = transports()[0].seal(made.batch(3 * PIECE_BYTES))
    first, second = sealed[:MAX_NOISE_BYTES], sealed[MAX_NOISE_BYTES : 2 * MAX_NOISE_BYTES]
    refuse(transports()[1], second + first)
    refuse(transports()[1], second)
    refuse(transports()[1], first + first)


def test_replayed_skipped_and_reflected_messages() -> None:
    sender, receiver = transports()
    first, second = sender.seal(b"first"), sender.seal(b"second")
    assert receiver.open(first) == b"first"
    refuse(receiver, first)
    refuse(transports()[1], second)
    refuse(sender, first)


def test_a_counter_used_twice() -> None:
    """A peer that seals two batches under one nonce is not understood."""
    sender, receiver = transports()
    assert receiver.open(sender.seal(b"first")) == b"first"
    sender._sending._next = 0
    refuse(receiver, sender.seal(b"second"))


def test_messages_of_another_link() -> None:
    sealed = transports(n.Pattern.XXPSK0)[0].seal(b"a batch")
    refuse(transports(n.Pattern.IK)[1], sealed)


def test_a_batch_holds_something() -> None:
    sender, receiver = transports()
    with pytest.raises(ValueError):
        sender.seal(b"")
    assert receiver.open(sender.seal(b"still works")) == b"still works"


def test_without_nonces_the_link_is_over() -> None:
    sender, receiver = transports()
    sender._sending._next = receiver._receiving._next = MAX_NONCE - 1
    assert receiver.open(sender.seal(b"the last")) == b"the last"
    refuse(receiver, bytes(17), Code.RESET)
    with pytest.raises(PeerError) as raised:
        sender.seal(b"one more")
    assert raised.value.code is Code.RESET
    with pytest.raises(RuntimeError):
        sender.seal(b"one more")


def test_a_batch_that_outlives_the_nonces_is_not_sent_in_part() -> None:
    sender, _ = transports()
    sender._sending._next = MAX_NONCE - 1
    with pytest.raises(PeerError):
        sender.seal(bytes(PIECE_BYTES + 1))
    with pytest.raises(RuntimeError):
        sender.seal(b"one more")
