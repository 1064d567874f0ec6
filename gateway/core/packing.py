"""Deflating what is said over a slow link: raw deflate (RFC 1951) with a preset dictionary.

docs/protocol.md, DEFLATED. Each message is packed by itself, before it is sealed: nothing that
one message held helps to guess another. Pure.
"""

import zlib

from gateway.core.dictionary import DICTIONARY
from gateway.core.errors import Code, PeerError

# Raw deflate with the largest window, which holds the dictionary beside 31 kB of the message.
RAW = -15
LEVEL = 6
MEMORY = 9


def pack(plain: bytes) -> bytes:
    """The deflated form; it may be longer than ``plain``."""
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, RAW, MEMORY, zdict=DICTIONARY)
    return deflate.compress(plain) + deflate.flush()


def unpack(packed: bytes, limit: int) -> bytes:
    """What was packed.

    Raises ``PeerError``: MALFORMED if it is damaged or something follows it, TOO_BIG beyond
    ``limit`` bytes, of which no more than one is made.
    """
    inflate = zlib.decompressobj(RAW, zdict=DICTIONARY)
    try:
        plain = inflate.decompress(packed, limit + 1)
    except zlib.error:
        raise PeerError(Code.MALFORMED, "packed records are damaged") from None
    if len(plain) > limit:
        raise PeerError(Code.TOO_BIG, "packed records are too large")
    if not inflate.eof or inflate.unused_data:
        raise PeerError(Code.MALFORMED, "packed records are cut off, or something follows them")
    return plain
