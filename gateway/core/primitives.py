"""Keys, ciphers and signatures: the only importer of the library ``cryptography``.

Nothing here draws randomness; callers give the bytes. SHA-256 and HMAC are in the standard
library. A private key is its seed of 32 bytes.
"""

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.core.errors import Code, PeerError

# Private and public keys, shared secrets and cipher keys alike.
KEY_BYTES = 32
# What encryption adds (RFC 8439 section 2.8).
TAG_BYTES = 16
SIGNATURE_BYTES = 64

# The prime of the field, and the y of all points whose order divides 8: under such a key a
# signature may fit any message, and the library does not refuse it.
_PRIME = 2**255 - 19
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_LOW_ORDER = frozenset({0, 1, _PRIME - 1, _ORDER_8, _PRIME - _ORDER_8})


class KeyPair:
    """A key pair for X25519 (RFC 7748); ``private`` are 32 random bytes."""

    def __init__(self, private: bytes) -> None:
        self._private = X25519PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()

    def exchange(self, public: bytes) -> bytes:
        """The secret shared with the owner of a public key, 32 bytes.

        Raises ``PeerError`` for a key of low order: with it the secret is zero, whoever
        exchanges (RFC 7748 section 6.1).
        """
        try:
            return self._private.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            raise PeerError(Code.MALFORMED, "a public key of low order") from None


class Cipher:
    """ChaCha20-Poly1305 (RFC 8439) under one key; a nonce of 12 bytes is used once."""

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)

    def encrypt(self, nonce: bytes, data: bytes, plaintext: bytes) -> bytes:
        """The ciphertext with its tag; ``data`` is authenticated with it."""
        return self._cipher.encrypt(nonce, plaintext, data)

    def decrypt(self, nonce: bytes, data: bytes, ciphertext: bytes) -> bytes:
        """The plaintext. Raises ``PeerError`` if anything was not as it was encrypted."""
        try:
            return self._cipher.decrypt(nonce, ciphertext, data)
        except InvalidTag:
            raise PeerError(Code.UNAUTHORISED, "a message that is not authentic") from None


def sign(private: bytes, message: bytes) -> bytes:
    """The signature of a message. Raises ``ValueError`` if ``private`` is not 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(private).sign(message)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is that of the message under this key.

    Never raises. Keys of low order, keys that are not in their shortest form and signatures
    whose second half is not below the order of the group (RFC 8032 section 5.1.7) are refused.
    """
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES or _is_weak(public):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def public_of(private: bytes) -> bytes:
    """The public key of a private one. Raises ``ValueError`` if it is not 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _is_weak(public: bytes) -> bool:
    y = int.from_bytes(public, "little") & (2**255 - 1)
    return y >= _PRIME or y in _LOW_ORDER
