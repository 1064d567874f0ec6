"""Keys, ciphers and signatures: the only importer of the library ``cryptography``.

Nothing here draws randomness; callers give the bytes. SHA-256 and HMAC are in the standard
library. What a peer sent that does not fit raises ``PeerError``.
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


class SigningKey:
    """An Ed25519 key (RFC 8032); ``private`` are 32 random bytes."""

    def __init__(self, private: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._private.sign(message)


def verify(public: bytes, signature: bytes, message: bytes) -> None:
    """Raise ``PeerError`` unless the owner of the Ed25519 key signed the message."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise PeerError(Code.UNAUTHORISED, "a signature that does not fit") from None
