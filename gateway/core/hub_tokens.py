"""Who may use the API of a hub: tokens, of which a file holds only digests (docs/hub-api.md). Pure.

A token is 32 random bytes, so one round of SHA-256 is enough: there is nothing to guess.
"""

import json
import re
import tomllib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Final

from gateway.core.cloud_records import SHARE
from gateway.core.errors import GatewayError, PeerError
from gateway.core.names import check_collection

READ: Final = "read"
WRITE: Final = "write"
EVERY: Final = "*"
TOKEN_BYTES: Final = 32
# Tells people and scanners of secrets what it is.
PREFIX: Final = "sgh_"
MAX_TOKENS: Final = 1_000
MAX_NAME: Final = 100
EX_CONFIG = 78

_DIGEST = re.compile("[0-9a-f]{64}")
_STORE = re.compile("[0-9a-f]{32}")
_KEYS = {"name", "sha256", "scopes", "stores"}


@dataclass(frozen=True, slots=True)
class Token:
    """What a token allows; ``stores``: spaces by name, or ``EVERY``."""

    name: str
    digest: str
    scopes: frozenset[str]
    stores: frozenset[str]

    def reaches(self, space: str) -> bool:
        """Whether it is good for a space."""
        return EVERY in self.stores or space in self.stores


def made(drawn: bytes) -> str:
    """The token of ``TOKEN_BYTES`` random bytes."""
    return PREFIX + urlsafe_b64encode(drawn).decode().rstrip("=")


def lines(name: str, token: str, scopes: Iterable[str], stores: Iterable[str]) -> str:
    """What stands for a token in the file. Raises as ``read_tokens`` does."""
    values = {
        "name": name, "sha256": _digest(token), "scopes": [*scopes], "stores": [*stores],
    }  # fmt: skip
    # A JSON text without surrogates is a TOML text too (TOML 1.0, basic strings).
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    read_tokens(f"[[token]]\n{text}")
    return f"[[token]]\n{text}"


def read_tokens(text: str) -> Sequence[Token]:
    """The tokens of a file. Raises ``GatewayError`` ``hub-tokens``, which quotes no digest."""
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(f"it is not TOML: {error}") from None
    entries = said.get("token", [])
    if said.keys() - {"token"} or not isinstance(entries, list) or len(entries) > MAX_TOKENS:
        raise _wrong(f"it holds [[token]], at most {MAX_TOKENS}, and nothing else")
    return [_token(entry, number) for number, entry in enumerate(entries, 1)]


def token_of(tokens: Iterable[Token], shown: str) -> Token | None:
    """The token that somebody shows; takes as long whichever it is, and if it is none."""
    digest = _digest(shown)
    found = None
    for token in tokens:
        if compare_digest(token.digest, digest):
            found = token
    return found


def is_space(name: str) -> bool:
    """Whether a space may be called so: the id of a store, or a share."""
    if not name.startswith(SHARE):
        return bool(_STORE.fullmatch(name))
    try:
        check_collection(name.removeprefix(SHARE))
    except PeerError:
        return False
    return True


def _token(entry: Any, number: int) -> Token:
    if not isinstance(entry, Mapping) or entry.keys() != _KEYS:
        raise _wrong(f"token {number} has not exactly {', '.join(sorted(_KEYS))}")
    name, digest = entry["name"], entry["sha256"]
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise _wrong(f"the name of token {number} is not 1 to {MAX_NAME} printable characters")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise _wrong(f"sha256 of token {number} is not 64 hexadecimal digits")
    scopes, stores = _texts(entry["scopes"]), _texts(entry["stores"])
    if not scopes or scopes - {READ, WRITE}:
        raise _wrong(f'scopes of token {number} are not "{READ}", "{WRITE}" or both')
    if not stores or not all(store == EVERY or is_space(store) for store in stores):
        raise _wrong(f'stores of token {number} are not ids, "{SHARE}NAME" or "{EVERY}"')
    return Token(name, digest, scopes, stores)


def _texts(value: Any) -> frozenset[str]:
    is_list = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    return frozenset(value) if is_list else frozenset()


def _digest(token: str) -> str:
    return sha256(token.encode(errors="surrogatepass")).hexdigest()


def _wrong(sentence: str) -> GatewayError:
    return GatewayError("hub-tokens", f"the file of tokens cannot be used: {sentence}", EX_CONFIG)
