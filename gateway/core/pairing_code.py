"""The pairing code that a person types: 100 bits as 20 characters of Crockford's base 32.

Written in groups (``9V3ZK-0TQ4C-…``), read as people write: in lower case, with O for 0, with
I or L for 1, with or without spaces and dashes. It is long enough to be a key at once; who does
not know it cannot try codes without asking the gateway each time.
"""

from hashlib import sha256

from gateway.core.errors import GatewayError

CHARACTERS = 20
GROUP = 5
# Crockford's base 32: without I, L, O (read as 1, 1, 0) and U. Five bits a character.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# So that no other use of the characters gives the same key.
PSK_LABEL = b"store-gateway/1 pairing code "

# Longer texts are not looked at; 20 characters, each with a space around it, are shorter.
MAX_TEXT = 64
_IGNORED = " -\t\r\n"
_READ = str.maketrans(
    {letter.lower(): letter for letter in ALPHABET if letter.isalpha()}
    | dict.fromkeys("Oo", "0")
    | dict.fromkeys("IiLl", "1")
    | dict.fromkeys(_IGNORED)
)

EX_DATA = 65
_SENTENCE = f"that is not a pairing code: it has {CHARACTERS} letters and digits, and no U"


def pairing_code(random: bytes) -> str:
    """A new code of 20 random bytes, of each of which five bits are used."""
    if len(random) != CHARACTERS:
        raise ValueError(f"a pairing code takes {CHARACTERS} random bytes")
    code = "".join(ALPHABET[byte % len(ALPHABET)] for byte in random)
    return "-".join(code[start : start + GROUP] for start in range(0, CHARACTERS, GROUP))


def normalised(text: str) -> str:
    """The 20 characters of a typed code. Raises ``GatewayError`` if it is none."""
    code = text.translate(_READ) if len(text) <= MAX_TEXT else ""
    if len(code) != CHARACTERS or not set(code) <= set(ALPHABET):
        raise GatewayError("pairing-code", _SENTENCE, EX_DATA)
    return code


def pairing_psk(text: str) -> bytes:
    """The pre-shared key of a typed code, 32 bytes. Raises ``GatewayError`` if it is none."""
    return sha256(PSK_LABEL + normalised(text).encode()).digest()
