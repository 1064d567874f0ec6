"""lib0 "any" values and JSON texts, read into the JSON form in which documents are shown.

What JSON cannot say is an object with one key that starts with ``$``:

    {"$bytes": "AAEC"}       bytes, base64
    {"$number": "NaN"}       also "Infinity", "-Infinity", "-0"
    {"$bigint": "123"}       a BigInt, decimal
    {"$undefined": true}     undefined, which is not null
    {"$json": "{oops"}       a text that should have been JSON and is not

A genuine key that starts with ``$`` gets one more ``$`` in front. Numbers are JavaScript
numbers: whole ones up to 2^53 are integers, all others floats.
"""

import json
import math
from base64 import b64encode
from struct import Struct as Layout
from typing import Any

from gateway.core.errors import Code, PeerError
from gateway.core.varint import read_bytes, read_string, read_varint

Json = Any

# Four times what the guard lets through (docs/limits.md), so that it never decides first.
MAX_NESTING = 128

UNDEFINED: dict[str, Json] = {"$undefined": True}

# Whole numbers up to it are exact in JavaScript.
EXACT = 2**53
_FLOAT32, _FLOAT64, _INT64 = Layout(">f"), Layout(">d"), Layout(">q")
_FLAGS = {120: True, 121: False, 126: None}


def read_any(data: bytes, position: int, nesting: int = 0) -> tuple[Json, int]:
    """A value in its JSON form and the position after it. Raises ``PeerError``."""
    if position >= len(data) or nesting > MAX_NESTING:
        raise PeerError(Code.MALFORMED, "a value is cut off or nested too deeply")
    tag = data[position]
    position += 1
    if tag == 119:
        return read_string(data, position)
    if tag == 125:
        return _read_integer(data, position)
    if tag in _FLAGS:
        return _FLAGS[tag], position
    if tag == 118:
        return _read_object(data, position, nesting)
    if tag == 117:
        return _read_list(data, position, nesting)
    if tag == 116:
        raw, position = read_bytes(data, position)
        return binary(raw), position
    if tag == 127:
        return dict(UNDEFINED), position
    return _read_fixed(data, position, tag)


def json_form(text: str) -> Json:
    """The JSON form of a JSON text; ``undefined`` is what Yjs writes for undefined."""
    if text == "undefined":
        return dict(UNDEFINED)
    try:
        return _escaped(json.loads(text), 0)
    except (ValueError, RecursionError):
        return {"$json": text}


def binary(raw: bytes) -> Json:
    """The JSON form of bytes."""
    return {"$bytes": b64encode(raw).decode()}


def number(value: float) -> Json:
    """The JSON form of a JavaScript number."""
    if not math.isfinite(value):
        return {"$number": "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"}
    if value == 0 and math.copysign(1, value) < 0:
        return {"$number": "-0"}
    return int(value) if value.is_integer() and abs(value) <= EXACT else value


def escaped_key(key: str) -> str:
    """A key that cannot be taken for one of the forms above."""
    return f"${key}" if key.startswith("$") else key


def _read_integer(data: bytes, position: int) -> tuple[Json, int]:
    """A lib0 signed varint: bit 7 of the first byte is the sign, so there is a -0."""
    shift, start = 6, position
    try:
        byte = data[position]
        value, negative = byte & 0x3F, byte & 0x40
        while byte & 0x80:
            position += 1
            byte = data[position]
            value |= (byte & 0x7F) << shift
            shift += 7
    except IndexError:
        raise PeerError(Code.MALFORMED, "a number is cut off") from None
    if position - start > 9 or value > EXACT:
        raise PeerError(Code.MALFORMED, "a number is too large")
    if not negative:
        return value, position + 1
    return (-value if value else number(-0.0)), position + 1


def _read_object(data: bytes, position: int, nesting: int) -> tuple[Json, int]:
    count, position = read_varint(data, position)
    result = {}
    for _ in range(count):
        key, position = read_string(data, position)
        result[escaped_key(key)], position = read_any(data, position, nesting + 1)
    return result, position


def _read_list(data: bytes, position: int, nesting: int) -> tuple[Json, int]:
    count, position = read_varint(data, position)
    result = []
    for _ in range(count):
        value, position = read_any(data, position, nesting + 1)
        result.append(value)
    return result, position


def _read_fixed(data: bytes, position: int, tag: int) -> tuple[Json, int]:
    layout = {122: _INT64, 123: _FLOAT64, 124: _FLOAT32}.get(tag)
    if layout is None or position + layout.size > len(data):
        raise PeerError(Code.MALFORMED, "a value has an unknown type or is cut off")
    (value,) = layout.unpack_from(data, position)
    form = {"$bigint": str(value)} if tag == 122 else number(value)
    return form, position + layout.size


def _escaped(value: Json, nesting: int) -> Json:
    if nesting > MAX_NESTING:
        raise RecursionError
    if isinstance(value, dict):
        return {escaped_key(key): _escaped(item, nesting + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item, nesting + 1) for item in value]
    return number(value) if isinstance(value, float) else value
