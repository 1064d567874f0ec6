"""The ciphers below the handshake: counters are used once and end."""

import pytest

from gateway.core.errors import Code, PeerError
from gateway.core.noise_state import MAX_NONCE, CipherState
from gateway.core.primitives import Cipher


def test_a_nonce_is_the_count_of_messages() -> None:
    state = CipherState(bytes(32))
    for number in range(300):
        nonce = bytes(4) + number.to_bytes(8, "little")
        assert state.encrypt(b"data", b"text") == Cipher(bytes(32)).encrypt(nonce, b"data", b"text")


def test_the_last_nonce_is_not_used() -> None:
    sender, receiver = CipherState(bytes(32)), CipherState(bytes(32))
    sender._next = receiver._next = MAX_NONCE - 1
    assert receiver.decrypt(b"", sender.encrypt(b"", b"last")) == b"last"
    for _ in range(2):
        with pytest.raises(PeerError) as sending:
            sender.encrypt(b"", b"")
        with pytest.raises(PeerError) as receiving:
            receiver.decrypt(b"", bytes(16))
        assert sending.value.code is receiving.value.code is Code.RESET
