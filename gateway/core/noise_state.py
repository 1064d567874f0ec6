"""CipherState and SymmetricState of the Noise Protocol Framework, revision 34, section 5.

Only ChaChaPoly and SHA256 (section 12). Bytes that do not decrypt raise ``PeerError``.
"""

import hmac
from hashlib import sha256
from struct import Struct

from gateway.core.errors import Code, PeerError
from gateway.core.primitives import Cipher

# Section 5.1: this nonce is reserved. Nothing is encrypted under it; there is no rekeying.
MAX_NONCE = 2**64 - 1
# Section 12.3: 32 zero bits, then the counter, little-endian.
_NONCE = Struct("<4xQ")


class CipherState:
    """One key and the number of messages it has encrypted or decrypted."""

    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(key)
        self._next = 0

    def encrypt(self, data: bytes, plaintext: bytes) -> bytes:
        """Encrypt the next message; ``data`` is authenticated with it."""
        return self._cipher.encrypt(self._nonce(), data, plaintext)

    def decrypt(self, data: bytes, ciphertext: bytes) -> bytes:
        """Decrypt the next message."""
        return self._cipher.decrypt(self._nonce(), data, ciphertext)

    def _nonce(self) -> bytes:
        # A nonce counts as used even if the message fails: after that nothing is decrypted.
        number = self._next
        if number == MAX_NONCE:
            raise PeerError(Code.RESET, "this link has carried all it can; connect anew")
        self._next = number + 1
        return _NONCE.pack(number)


class SymmetricState:
    """The chaining key, the hash of the handshake so far, and the key of the moment."""

    def __init__(self, protocol: bytes) -> None:
        fits = len(protocol) <= sha256().digest_size
        # Section 5.2: a short name is filled up with zeros, a long one hashed.
        self.hash = protocol.ljust(32, b"\0") if fits else sha256(protocol).digest()
        self._chain = self.hash
        self._cipher: CipherState | None = None

    @property
    def has_key(self) -> bool:
        """Whether what is written and read from now on is encrypted."""
        return self._cipher is not None

    def mix_hash(self, data: bytes) -> None:
        """Bind both sides to ``data``."""
        self.hash = sha256(self.hash + data).digest()

    def mix_key(self, secret: bytes) -> None:
        """Let a shared secret change all keys to come."""
        self._chain, key = _hkdf(self._chain, secret, 2)
        self._cipher = CipherState(key)

    def mix_key_and_hash(self, secret: bytes) -> None:
        """The same for a pre-shared key."""
        self._chain, seed, key = _hkdf(self._chain, secret, 3)
        self.mix_hash(seed)
        self._cipher = CipherState(key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        """Encrypt once there is a key, and bind both sides to the outcome."""
        cipher = self._cipher
        data = cipher.encrypt(self.hash, plaintext) if cipher else plaintext
        self.mix_hash(data)
        return data

    def decrypt_and_hash(self, data: bytes) -> bytes:
        """The reverse of ``encrypt_and_hash``."""
        cipher = self._cipher
        plaintext = cipher.decrypt(self.hash, data) if cipher else data
        self.mix_hash(data)
        return plaintext

    def split(self) -> tuple[CipherState, CipherState]:
        """The ciphers of the initiator's and of the responder's messages."""
        first, second = _hkdf(self._chain, b"", 2)
        return CipherState(first), CipherState(second)


def _hkdf(chain: bytes, secret: bytes, count: int) -> list[bytes]:
    # Section 4.3; RFC 5869 without information.
    extracted = hmac.digest(chain, secret, "sha256")
    outputs = [b""]
    for number in range(1, count + 1):
        outputs.append(hmac.digest(extracted, outputs[-1] + bytes([number]), "sha256"))
    return outputs[1:]
