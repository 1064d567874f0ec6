"""Strict check of JSON text a peer sent: valid, and not nested beyond a depth."""

import json
import math
import re
from typing import NoReturn

from gateway.core.errors import Code, PeerError

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')
# What formatting marks mostly hold: not worth a parser.
_COMMON = frozenset({"null", "true", "false", "{}", '""', "0", "1"})
# A number written out has at most 309 digits before its point; the library fails on more.
_MAX_NUMBER = 400


def check_json(text: str, nesting: int) -> None:
    """Raises ``PeerError`` unless ``text`` is one JSON value (RFC 8259) of finite numbers.

    ``nesting`` is how deep arrays and objects may stand in each other.
    """
    if text in _COMMON:
        return
    if text.count("[") + text.count("{") > nesting and _depth(text) > nesting:
        raise PeerError(Code.TOO_BIG, f"JSON nested deeper than {nesting}")
    try:
        json.loads(text, parse_constant=_refuse, parse_int=_finite, parse_float=_finite)
    except ValueError:
        raise PeerError(Code.MALFORMED, "a text is not JSON") from None


def check_characters(text: str) -> None:
    """Raises ``PeerError`` if sound JSON escapes half a character: the library fails on it."""
    if "\\u" in text:
        try:
            json.dumps(json.loads(text, parse_int=float), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise PeerError(Code.MALFORMED, "a JSON text holds half a character") from None


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


def _finite(digits: str) -> None:
    """Whole numbers are not converted as such: a long one would cost its length squared."""
    if len(digits) > _MAX_NUMBER or not math.isfinite(float(digits)):
        raise ValueError(digits)
