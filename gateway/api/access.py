"""Who may ask: by a token of a file; where there is none, this machine alone, and to read only."""

import contextlib
import ipaddress
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from gateway.core.errors import GatewayError
from gateway.core.hub_tokens import EVERY, READ, Token, is_space, read_tokens, token_of
from gateway.http.messages import HttpProblem, Request

MAX_FILE_BYTES = 1_048_576
# A browser sends one for a page of somewhere else, and a proxy one of the others for somebody else.
_FOREIGN = ("Origin", "Forwarded", "Via", "X-Forwarded-For", "X-Real-IP")
_NOBODY = Token("this machine", "", frozenset({READ}), frozenset({EVERY}))
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="store-gateway hub"'}

_UNKNOWN: tuple[tuple[int, int, int], Sequence[Token]] = (-1, -1, -1), ()
_UNREADABLE: tuple[tuple[int, int, int], Sequence[Token]] = (-2, -2, -2), ()

log = logging.getLogger("gateway.api")


class Access:
    """``file`` holds the tokens and is read again when it changes; None: there are none."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._read: tuple[tuple[int, int, int], Sequence[Token]] = _UNKNOWN

    def admit(self, request: Request, scope: str, space: str = "") -> Token:
        """Who asks. Raises ``HttpProblem``: 401, 403, or 503 when the file cannot be used."""
        if space and not is_space(space):
            sentence = "a store is named by its id, 32 hexadecimal digits, or as share:NAME"
            raise HttpProblem(400, "bad-store", sentence)
        token = self._local(request) if self._file is None else self._shown(request, self._file)
        if scope not in token.scopes:
            raise HttpProblem(403, "forbidden", f"this takes the right to {scope}")
        if space and not token.reaches(space):
            raise HttpProblem(403, "forbidden", "this token is not for that store")
        return token

    def look(self) -> None:
        """Say in the log what is wrong with the file, before anybody asks."""
        if self._file is not None:
            with contextlib.suppress(HttpProblem):
                self._tokens(self._file)

    def _local(self, request: Request) -> Token:
        is_here = _is_loopback(request.remote) and _is_our_name(request.host)
        is_page = request.header("Sec-Fetch-Site") not in ("", "none", "same-origin")
        if not is_here or is_page or any(map(request.header, _FOREIGN)):
            sentence = "this hub has no file of tokens: it answers its own machine only, directly"
            raise HttpProblem(403, "local-only", sentence)
        return _NOBODY

    def _shown(self, request: Request, file: Path) -> Token:
        kind, _, shown = request.header("Authorization").partition(" ")
        tokens = self._tokens(file)
        token = token_of(tokens, shown.strip()) if kind.lower() == "bearer" else None
        if token is None:
            sentence = "this takes a token of this hub, sent as Authorization: Bearer TOKEN"
            raise HttpProblem(401, "unauthorised", sentence, _CHALLENGE)
        return token

    def _tokens(self, file: Path) -> Sequence[Token]:
        """Those of the file as it is now: what was taken out of it is good no more."""
        try:
            with file.open("rb") as opened:
                facts = os.fstat(opened.fileno())
                version = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
                known, tokens = self._read
                if known != version:
                    tokens = read_tokens(opened.read(MAX_FILE_BYTES).decode())
                    self._read = version, tokens
                return tokens
        except GatewayError as error:
            self._fail(error.sentence)
        except OSError as error:
            self._fail(error.strerror or "it cannot be read")
        except UnicodeError:
            self._fail("it is not UTF-8")
        raise HttpProblem(503, "hub-tokens", "the file of tokens cannot be used; see the log")

    def _fail(self, reason: str) -> None:
        """Said once; nobody is let in until the file is right."""
        if self._read != _UNREADABLE:
            log.error("nobody is let in by HTTP: %s: %s", self._file, reason)
        self._read = _UNREADABLE


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_our_name(host: str) -> bool:
    """A foreign name for this address is DNS rebinding."""
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name in ("localhost", "127.0.0.1", "[::1]")
