"""The store's root key as text, for the recovery code that is shown once and kept on paper.

``SGR1-`` and 56 digits of Crockford's base32 (https://www.crockford.com/base32.html) in
groups of four: the 32 bytes of the key and 3 bytes of checksum. A QR code holds it in its
alphanumeric mode, a person can type it.
"""

from hashlib import sha256
from typing import Final

from gateway.core.errors import GatewayError
from gateway.core.primitives import KEY_BYTES

_PREFIX: Final = "SGR"
_VERSION: Final = "1"
_LABEL: Final = b"store-gateway recovery 1"
# 35 bytes are 56 digits with nothing left over; one damaged code in 16 million goes unseen.
_CHECK_BYTES: Final = 3
_DIGITS: Final = 56
_GROUP: Final = 4
# Long enough for any way of writing it, short enough to look at.
_MAX_TEXT: Final = 256

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES: Final = {digit: value for value, digit in enumerate(_ALPHABET)}
# What people and printers put between the groups, and what they take for what.
_LENIENT: Final = str.maketrans("OIL", "011", " \t\r\n\u00a0-_\u2010\u2011\u2012\u2013\u2014")

EX_DATA: Final = 65


def recovery_code(root_private: bytes) -> str:
    """The text for a root key of 32 bytes."""
    number = int.from_bytes(root_private + _check(root_private), "big")
    digits = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_DIGITS)))
    groups = [digits[start : start + _GROUP] for start in range(0, _DIGITS, _GROUP)]
    return "-".join([_PREFIX + _VERSION, *groups])


def root_key(text: str) -> bytes:
    """The root key in a recovery code, however it was typed.

    Small letters, other dashes and spaces, and O, I and L for 0 and 1 are understood. Raises
    ``GatewayError`` ``recovery-code`` with a sentence that says what is wrong and holds
    nothing of the code.
    """
    written = text[:_MAX_TEXT].upper().translate(_LENIENT)
    if not written.startswith(_PREFIX):
        raise _wrong(f"A recovery code begins with {_PREFIX}{_VERSION}.")
    if not written.startswith(_PREFIX + _VERSION):
        raise _wrong("This recovery code is of another version: update the Store Gateway.")
    digits = written.removeprefix(_PREFIX + _VERSION)
    for place, digit in enumerate(digits):
        if digit not in _VALUES:
            raise _wrong(f"Group {place // _GROUP + 1} holds a character that no code has.")
    if len(digits) != _DIGITS:
        raise _wrong(f"The recovery code has {len(digits)} characters after SGR1, not {_DIGITS}.")
    return _checked(digits)


def _checked(digits: str) -> bytes:
    number = 0
    for digit in digits:
        number = number << 5 | _VALUES[digit]
    data = number.to_bytes(KEY_BYTES + _CHECK_BYTES, "big")
    key, check = data[:KEY_BYTES], data[KEY_BYTES:]
    if check != _check(key):
        raise _wrong("A character of the recovery code is wrong: compare it with the paper.")
    return key


def _check(key: bytes) -> bytes:
    return sha256(_LABEL + key).digest()[:_CHECK_BYTES]


def _wrong(sentence: str) -> GatewayError:
    return GatewayError("recovery-code", sentence, EX_DATA)
