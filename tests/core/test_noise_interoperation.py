"""Handshakes with noiseprotocol, an implementation that has nothing of ours.

The JavaScript side meets one in C (web/client/test/noise.test.mjs).
"""

import pytest
from noise.connection import Keypair, NoiseConnection

from gateway.core import noise as n
from gateway.core.noise_transport import PIECE_BYTES
from tests.core.handshakes import case, static_of
from tests.vectors import make_noise as made

NAMES = {
    n.Pattern.IK: "IK",
    n.Pattern.IKPSK2: "IKpsk2",
    n.Pattern.XXPSK0: "XXpsk0",
    n.Pattern.XX: "XX",
}


def stranger(pattern: n.Pattern, initiator: bool) -> NoiseConnection:
    """The other implementation, with the keys of a role and an ephemeral key of its own."""
    described = case(pattern)
    role = "initiator" if initiator else "responder"
    peer = NoiseConnection.from_name(f"Noise_{NAMES[pattern]}_25519_ChaChaPoly_SHA256".encode())
    peer.set_as_initiator() if initiator else peer.set_as_responder()
    peer.set_prologue(bytes.fromhex(described["prologue"]))
    if described["psk"]:
        peer.set_psks(psk=bytes.fromhex(described["psk"]))
    peer.set_keypair_from_private_bytes(Keypair.STATIC, bytes.fromhex(made.KEYS[role]["static"]))
    if initiator and pattern in (n.Pattern.IK, n.Pattern.IKPSK2):
        peer.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, static_of("responder"))
    peer.start_handshake()
    return peer


@pytest.mark.parametrize("initiator", [True, False], ids=["initiator", "responder"])
@pytest.mark.parametrize("pattern", list(n.Pattern), ids=lambda pattern: pattern.name)
def test_a_handshake_and_what_follows(pattern: n.Pattern, initiator: bool) -> None:
    ours, theirs = made.side(case(pattern), initiator), stranger(pattern, not initiator)
    while not (ours.done and theirs.handshake_finished):
        if ours.is_writing:
            assert theirs.read_message(ours.write(b"payload")) == b"payload"
        else:
            assert ours.read(bytes(theirs.write_message(b"back"))) == b"back"
    assert theirs.get_handshake_hash() == ours.handshake_hash
    assert ours.remote_static == static_of("responder" if initiator else "initiator")
    transport = ours.split()
    for size in (1, 100, PIECE_BYTES):
        assert theirs.decrypt(transport.seal(made.batch(size))) == made.batch(size)
        assert transport.open(theirs.encrypt(made.batch(size))) == made.batch(size)
