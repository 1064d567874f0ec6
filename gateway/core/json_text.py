"""Strict check of JSON text a peer sent: valid, and not nested beyond a depth."""

import json
import re
from typing import Any, NoReturn

from gateway.core.errors import Code, PeerError

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')


def check_json(text: str, nesting: int) -> None:
    """Raises ``PeerError(MALFORMED)`` unless ``text`` is one JSON value (RFC 8259).

    ``nesting`` is how deep arrays and objects may stand in each other.
    """
    if text.count("[") + text.count("{") > nesting and _depth(text) > nesting:
        raise PeerError(Code.MALFORMED, "JSON is nested too deep")
    try:
        json.loads(text, parse_constant=_refuse, parse_int=_unread, parse_float=_unread)
    except ValueError:
        raise PeerError(Code.MALFORMED, "a text is not JSON") from None


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in _STRINGS.sub("", text):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _unread(digits: str) -> Any:
    """Numbers are not converted: a long one would cost its length squared."""
