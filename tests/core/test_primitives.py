"""The primitives against the examples of their RFCs."""

import pytest

from gateway.core.errors import Code, PeerError
from gateway.core.primitives import Cipher, KeyPair, SigningKey, verify

hexadecimal = bytes.fromhex


def test_an_exchange_of_rfc_7748_section_5_2() -> None:
    scalar = hexadecimal("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    point = hexadecimal("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    secret = "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    assert KeyPair(scalar).exchange(point).hex() == secret


def test_both_sides_share_the_secret() -> None:
    one, other = KeyPair(bytes(range(32))), KeyPair(bytes(range(32, 64)))
    assert one.exchange(other.public) == other.exchange(one.public)


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31)])
def test_no_secret_with_a_key_of_low_order(point: bytes) -> None:
    with pytest.raises(PeerError) as raised:
        KeyPair(bytes(range(32))).exchange(point)
    assert raised.value.code is Code.MALFORMED


def test_the_cipher_of_rfc_8439_section_2_8_2() -> None:
    cipher = Cipher(bytes(range(0x80, 0xA0)))
    nonce, data = hexadecimal("070000004041424344454647"), hexadecimal("50515253c0c1c2c3c4c5c6c7")
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the"
        b" future, sunscreen would be it."
    )
    sealed = cipher.encrypt(nonce, data, text)
    assert sealed[:8].hex() == "d31a8d34648e60db"
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"
    assert cipher.decrypt(nonce, data, sealed) == text
    for wrong in (sealed[:-1], sealed[:15], b"", sealed[1:], b"\0" + sealed[1:]):
        with pytest.raises(PeerError) as raised:
            cipher.decrypt(nonce, data, wrong)
        assert raised.value.code is Code.UNAUTHORISED


def test_a_signature_of_rfc_8032_section_7_1() -> None:
    key = SigningKey(
        hexadecimal("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )
    signature = key.sign(b"")
    assert key.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert signature.hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39"
        "701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    verify(key.public, signature, b"")


def test_any_other_signature_is_refused() -> None:
    key = SigningKey(bytes(32))
    signature = key.sign(b"message")
    for public, signed, message in (
        (key.public, signature, b"another"),
        (key.public, signature[:-1], b"message"),
        (key.public, b"", b"message"),
        (SigningKey(bytes(range(32))).public, signature, b"message"),
        (key.public[:-1], signature, b"message"),
    ):
        with pytest.raises(PeerError) as raised:
            verify(public, signed, message)
        assert raised.value.code is Code.UNAUTHORISED
