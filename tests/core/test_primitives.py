"""The primitives against the examples of their RFCs, and the keys that must not pass."""

import pytest

from gateway.core import primitives as p
from gateway.core.errors import Code, PeerError
from gateway.core.primitives import Cipher, KeyPair

hexadecimal = bytes.fromhex

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
EDWARDS_D = -121665 * pow(121666, -1, PRIME) % PRIME

# RFC 8032 section 7.1, tests 1 and 3: private key, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]
PRIVATE = bytes(range(32))
PUBLIC = p.public_of(PRIVATE)


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


@pytest.mark.parametrize("vector", RFC_8032)
def test_rfc_8032(vector: tuple[str, str, str, str]) -> None:
    private, public, message, signature = map(bytes.fromhex, vector)
    assert p.public_of(private) == public
    assert p.sign(private, message) == signature
    assert p.verify(public, message, signature)
    assert not p.verify(public, message + b"\x00", signature)


def test_any_flipped_bit_is_refused() -> None:
    signature = p.sign(PRIVATE, b"message")
    for bit in range(8 * len(signature)):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not p.verify(PUBLIC, b"message", bytes(flipped))
    for bit in range(256):
        flipped = bytearray(PUBLIC)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not p.verify(bytes(flipped), b"message", signature)


def test_a_malleable_signature_is_refused() -> None:
    signature = p.sign(PRIVATE, b"message")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    assert not p.verify(PUBLIC, b"message", signature[:32] + scalar.to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_keys_and_signatures_have_one_length(length: int) -> None:
    signature = p.sign(PRIVATE, b"")
    assert not p.verify((PUBLIC * 2)[:length], b"", signature)
    assert not p.verify(PUBLIC, b"", (signature * 2)[: length + 32])
    with pytest.raises(ValueError):
        p.sign(bytes(length), b"")
    with pytest.raises(ValueError):
        p.public_of(bytes(length))


def point(y: int) -> tuple[int, int]:
    """A point of the curve with this y (RFC 8032 section 5.1.3)."""
    square = (y * y - 1) * pow(EDWARDS_D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    assert (x * x - square) % PRIME == 0
    return x, y


def doubled(of: tuple[int, int]) -> tuple[int, int]:
    x, y = of
    product = EDWARDS_D * x * x * y * y
    return (
        2 * x * y * pow(1 + product, -1, PRIME) % PRIME,
        (y * y + x * x) * pow(1 - product, -1, PRIME) % PRIME,
    )


def test_the_list_of_weak_keys_is_that_of_all_points_whose_order_divides_8() -> None:
    for y in p._LOW_ORDER:
        assert doubled(doubled(doubled(point(y)))) == (0, 1)
    # x and -x share a y: 1 + 1 points of order 1 and 2, 2 of order 4, 4 of order 8.
    assert sum(1 if point(y)[0] == 0 else 2 for y in p._LOW_ORDER) == 8


def test_keys_of_low_order_and_in_a_longer_form_are_refused() -> None:
    forms = {y + more for y in p._LOW_ORDER for more in (0, PRIME) if y + more < 2**255}
    nothing = [(b"\x01" + bytes(31)) + bytes(32), bytes(64)]
    for y in forms | {PRIME + 2, 2**255 - 1}:
        for sign in (0, 1):
            key = (y | sign << 255).to_bytes(32, "little")
            assert not any(p.verify(key, b"anything", signature) for signature in nothing)
