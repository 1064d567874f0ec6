"""Tokens: the same rights as a ticket, as a JWT in ``?token=`` of the plain endpoint.

A stock y-websocket client cannot prove a key, so whoever holds the token has its rights;
otherwise it is a ticket. Of JWT (RFC 7519) only this is taken: the compact form of RFC 7515
with EdDSA (RFC 8037) and the key of one certificate, a header that says no more than that,
and claims this module knows.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, Final

from gateway.core.certificates import Certificate, check_store
from gateway.core.claims import ID_BYTES, MAX_EPOCH, is_short_text, malformed
from gateway.core.errors import Code, PeerError
from gateway.core.json_text import check_json
from gateway.core.primitives import sign, verify
from gateway.core.tickets import (
    MAX_GRANTS,
    MAX_ROLE_BYTES,
    Revoked,
    Ticket,
    check_grants,
    check_revoked,
)

# It travels in the first line of an HTTP request.
MAX_BYTES: Final = 4_096

_QUERY: Final = "token="
# An object, the list of grants, a grant.
_NESTING: Final = 3
_HEADERS: Final = ({"alg": "EdDSA"}, {"alg": "EdDSA", "typ": "JWT"})
_CLAIMS: Final = frozenset({"aud", "sub", "role", "grants", "epoch", "jti"})
# When it was made: common libraries add it, and nothing depends on it.
_IGNORED: Final = frozenset({"iat"})
_TIMES: Final = frozenset({"exp", "nbf"})
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


def issue_token(private: bytes, ticket: Ticket) -> str:
    """A ticket as a token, signed with the key of the gateway's certificate."""
    claims = {
        "aud": ticket.store.hex(),
        "sub": ticket.peer.hex(),
        "role": ticket.role,
        "grants": ticket.grants,
        "epoch": ticket.epoch,
        "jti": ticket.id.hex(),
    }
    signed = f"{_packed(_HEADERS[-1])}.{_packed(claims)}"
    return f"{signed}.{_text(sign(private, signed.encode()))}"


def token_of(path: str) -> str:
    """The token in the query of a path, or nothing."""
    query = path.partition("?")[2][: 2 * MAX_BYTES]
    return next((part[len(_QUERY) :] for part in query.split("&") if part.startswith(_QUERY)), "")


def verify_token(token: str, certificate: Certificate, revoked: Revoked) -> Ticket:
    """The ticket in a token, if the gateway of this certificate issued it.

    Raises ``PeerError``: MALFORMED, OTHER_STORE, UNAUTHORISED, REVOKED.
    """
    if len(token) > MAX_BYTES or not _COMPACT.fullmatch(token):
        raise malformed(f"a token is a JWT of at most {MAX_BYTES} bytes")
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    if _unpacked(header) not in _HEADERS:
        raise PeerError(Code.UNAUTHORISED, "a token's header says alg EdDSA, typ JWT and no more")
    if not verify(certificate.signing_key, signed.encode(), _octets(signature)):
        raise PeerError(Code.UNAUTHORISED, "the token is not of this gateway: sign in again")
    ticket = _ticket(_unpacked(payload), certificate)
    check_store(ticket.store, certificate.store)
    check_revoked(ticket, certificate, revoked)
    return ticket


def _ticket(claims: dict[str, Any], certificate: Certificate) -> Ticket:
    if not _TIMES.isdisjoint(claims):
        raise malformed("a token with a time: the gateway has no clock; rights end by revocation")
    if claims.keys() - _IGNORED != _CLAIMS:
        raise malformed("a claim of the token is missing, or not known")
    return Ticket(
        store=_id(claims["aud"]),
        noise_key=None,
        peer=_id(claims["sub"]),
        role=_role(claims["role"]),
        grants=check_grants(_list(claims["grants"])),
        epoch=_epoch(claims["epoch"]),
        id=_id(claims["jti"]),
        issuer=certificate.serial,
    )


def _id(value: object) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(f"[0-9a-f]{{{2 * ID_BYTES}}}", value):
        raise malformed("an id in a token is 32 digits of lower-case hex")
    return bytes.fromhex(value)


def _role(value: object) -> str:
    if not isinstance(value, str) or not is_short_text(value, MAX_ROLE_BYTES):
        raise malformed("the role in a token is not a short text")
    return value


def _list(value: object) -> Sequence[object]:
    if not isinstance(value, list) or len(value) > MAX_GRANTS:
        raise malformed("the grants in a token are not a list, or too long a list")
    return value


def _epoch(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_EPOCH:
        raise malformed("the epoch in a token is not a number, or out of range")
    return value


def _packed(value: object) -> str:
    return _text(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _octets(text: str) -> bytes:
    """The bytes of base64url without padding, in its only form."""
    if len(text) % 4 != 1:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if _text(data) == text:
            return data
    raise malformed("a part of a token is not base64url")


def _unpacked(text: str) -> dict[str, Any]:
    """A JSON object in which no name stands twice."""
    try:
        source = _octets(text).decode()
    except UnicodeDecodeError:
        raise malformed("a part of a token is not UTF-8") from None
    try:
        check_json(source, _NESTING)
    except PeerError as error:
        raise malformed(error.reason) from None
    value = json.loads(source, object_pairs_hook=_unique)
    if not isinstance(value, dict):
        raise malformed("a part of a token is not an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise malformed("a name stands twice in a token")
    return found
