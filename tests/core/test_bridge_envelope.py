"""Who made a message between a gateway and a hub, and for whom."""

import pytest

from gateway.core import cbor
from gateway.core.bridge_envelope import (
    MAX_MESSAGE_BYTES,
    open_down,
    open_up,
    seal_down,
    seal_up,
)
from gateway.core.certificates import store_id
from gateway.core.errors import Code, PeerError
from gateway.core.membership import Keys, found
from gateway.core.primitives import public_of

ROOT, OTHER_ROOT = b"r" * 32, b"o" * 32
PEER, OTHER_PEER = b"p" * 16, b"q" * 16
KEYS = Keys(b"n" * 32, b"s" * 32)
HUB = b"h" * 32
STORE, OTHER_STORE = store_id(public_of(ROOT)), store_id(public_of(OTHER_ROOT))
CERTIFICATE = found(ROOT, PEER, KEYS, b"serial00")
UP = seal_up(KEYS.signing_private, CERTIFICATE, public_of(ROOT), PEER, b"a batch")
DOWN = seal_down(HUB, STORE, PEER, b"a batch")


def test_a_gateways_message_is_opened() -> None:
    opened = open_up(UP, STORE, PEER)
    assert (opened.batch, opened.certificate.peer, opened.root) == (
        b"a batch", PEER, public_of(ROOT),
    )  # fmt: skip


def test_a_hubs_message_is_opened() -> None:
    assert open_down(DOWN, public_of(HUB), STORE, PEER) == b"a batch"


def _up(root: bytes = ROOT, peer: bytes = PEER, signing: bytes = KEYS.signing_private) -> bytes:
    return seal_up(signing, CERTIFICATE, public_of(root), peer, b"a batch")


@pytest.mark.parametrize(
    ("message", "store", "peer", "code"),
    [
        (UP, OTHER_STORE, PEER, Code.OTHER_STORE),
        (UP, STORE, OTHER_PEER, Code.UNAUTHORISED),
        (_up(root=OTHER_ROOT), OTHER_STORE, PEER, Code.OTHER_STORE),
        (_up(peer=OTHER_PEER), STORE, PEER, Code.UNAUTHORISED),
        (_up(signing=b"x" * 32), STORE, PEER, Code.UNAUTHORISED),
        (DOWN, STORE, PEER, Code.MALFORMED),
        (cbor.encode([b"short", CERTIFICATE, b""]), STORE, PEER, Code.MALFORMED),
        (cbor.encode([public_of(ROOT), bytes(9_000), b""]), STORE, PEER, Code.MALFORMED),
        (b"", STORE, PEER, Code.MALFORMED),
        (UP + b"\0", STORE, PEER, Code.MALFORMED),
        (bytes(MAX_MESSAGE_BYTES + 1), STORE, PEER, Code.TOO_BIG),
    ],
)
def test_a_gateways_message_is_refused(
    message: bytes, store: bytes, peer: bytes, code: Code
) -> None:
    with pytest.raises(PeerError) as caught:
        open_up(message, store, peer)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("message", "hub", "store", "peer", "code"),
    [
        (DOWN, b"x" * 32, STORE, PEER, Code.UNAUTHORISED),
        (DOWN, HUB, OTHER_STORE, PEER, Code.UNAUTHORISED),
        (DOWN, HUB, STORE, OTHER_PEER, Code.UNAUTHORISED),
        (UP, HUB, STORE, PEER, Code.MALFORMED),
        (bytes(MAX_MESSAGE_BYTES + 1), HUB, STORE, PEER, Code.TOO_BIG),
    ],
)
def test_a_hubs_message_is_refused(
    message: bytes, hub: bytes, store: bytes, peer: bytes, code: Code
) -> None:
    with pytest.raises(PeerError) as caught:
        open_down(message, public_of(hub), store, peer)
    assert caught.value.code is code


def test_no_byte_of_a_message_can_be_changed() -> None:
    for place in range(len(UP)):
        changed = UP[:place] + bytes([UP[place] ^ 1]) + UP[place + 1 :]
        with pytest.raises(PeerError):
            open_up(changed, STORE, PEER)
