"""Document names: what ``collection/id`` may look like (docs/protocol.md section 1)."""

import unicodedata
from urllib.parse import unquote_to_bytes

from gateway.core.errors import Code, GatewayError, PeerError

EX_USAGE = 64
MAX_NAME_BYTES = 200
MAX_COLLECTION_BYTES = 64

# Controls, surrogates, private use and unassigned; directional controls are Cf, which also
# holds the joiners emoji need, so those are listed.
_BANNED_CATEGORIES = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
_BANNED_CHARACTERS = frozenset(
    "\\\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def own_name(name: str) -> str:
    """Return ``name`` if it is a document name, else raise ``GatewayError`` ``bad-name``.

    For names that come from who is at this device, not from a peer.
    """
    try:
        return check_name(name)
    except PeerError as error:
        raise GatewayError("bad-name", f"{name!r}: {error.reason}", EX_USAGE) from error


def check_name(name: str) -> str:
    """Return ``name`` if it is a document name, else raise ``PeerError(BAD_NAME)``."""
    segments = name.split("/")
    if len(segments) < 2:
        raise PeerError(Code.BAD_NAME, "a document name is collection/id")
    if any(segment in ("", ".", "..") for segment in segments):
        raise PeerError(Code.BAD_NAME, "a document name has an empty, '.' or '..' part")
    if not name.isascii() or not name.isprintable() or "\\" in name:
        _check_characters(name)
    if len(name.encode()) > MAX_NAME_BYTES or len(segments[0].encode()) > MAX_COLLECTION_BYTES:
        raise PeerError(
            Code.BAD_NAME,
            f"a document name is at most {MAX_NAME_BYTES} bytes,"
            f" its collection {MAX_COLLECTION_BYTES}",
        )
    return name


def check_collection(collection: str) -> None:
    """Raise ``PeerError(BAD_NAME)`` if no document could be in a collection of this name."""
    check_name(f"{collection[: MAX_NAME_BYTES + 1]}/x")
    if "/" in collection:
        raise PeerError(Code.BAD_NAME, "a collection is the first part of a document name")


def name_from_path(path: str) -> str:
    """The document name in the path of a URL, percent-decoded once.

    ``path`` starts after ``/sync/`` and may carry a query, which is cut off.
    """
    encoded = path.partition("?")[0]
    try:
        return check_name(unquote_to_bytes(encoded).decode())
    except UnicodeError:
        raise PeerError(Code.BAD_NAME, "a document name must be UTF-8") from None


def collection_of(name: str) -> str:
    """The collection of a document name that has been checked."""
    return name.partition("/")[0]


def _check_characters(name: str) -> None:
    for character in name:
        if character in _BANNED_CHARACTERS or unicodedata.category(character) in _BANNED_CATEGORIES:
            raise PeerError(Code.BAD_NAME, "a document name holds a character that is not allowed")
