"""lib0 values in their JSON form: nothing that JSON cannot say is lost."""

import json
import math
import struct

import pytest

from gateway.core.errors import PeerError
from gateway.core.values import (
    MAX_NESTING,
    binary,
    escaped_key,
    json_form,
    number,
    read_any,
)


@pytest.mark.parametrize(
    ("data", "form"),
    [
        ("7f", {"$undefined": True}),
        ("7e", None),
        ("79", False),
        ("78", True),
        ("7d00", 0),
        ("7d40", {"$number": "-0"}),
        ("7d3f", 63),
        ("7d7f", -63),
        ("7d8101", 65),
        ("7dc101", -65),
        ("7c3f000000", 0.5),
        ("7b4340000000000000", 2**53),
        ("7b4350000000000000", float(2**54)),
        ("7b7ff8000000000000", {"$number": "NaN"}),
        ("7bfff0000000000000", {"$number": "-Infinity"}),
        ("7c7f800000", {"$number": "Infinity"}),
        ("7a8000000000000000", {"$bigint": str(-(2**63))}),
        ("7701c2", None),
        ("7702c3a9", "é"),
        ("7403000102", {"$bytes": "AAEC"}),
        ("7502 7d01 7500", [1, []]),
        ("7602 0161 7d01 052461 62 63 64 7e", {"a": 1, "$$abcd": None}),
    ],
)
def test_each_kind(data: str, form: object) -> None:
    raw = bytes.fromhex(data)
    if data == "7701c2":
        with pytest.raises(PeerError):
            read_any(raw, 0)
        return
    value, position = read_any(b"\x00" + raw + b"\x00", 1)
    assert position == len(raw) + 1
    assert value == form
    assert type(value) is type(form)
    json.dumps(value, allow_nan=False)


@pytest.mark.parametrize(
    "data",
    ["", "00", "7d", "7d80", "7dffffffffffffffff7f", "7d80808080808080808001", "7c3f0000", "7501"],
)
def test_what_is_cut_off_or_unknown(data: str) -> None:
    with pytest.raises(PeerError):
        read_any(bytes.fromhex(data), 0)


def test_nesting_has_an_end() -> None:
    read_any(b"\x75\x01" * MAX_NESTING + b"\x75\x00", 0)
    with pytest.raises(PeerError):
        read_any(b"\x75\x01" * (MAX_NESTING + 1) + b"\x75\x00", 0)


def test_numbers_are_those_of_javascript() -> None:
    assert number(3.0) == 3
    assert type(number(3.0)) is int
    assert type(number(2.0**60)) is float
    assert number(-math.inf) == {"$number": "-Infinity"}
    assert number(struct.unpack(">d", bytes.fromhex("8000000000000000"))[0]) == {"$number": "-0"}


def test_json_texts() -> None:
    assert json_form('{"a": [1.0, {"$x": null}]}') == {"a": [1, {"$$x": None}]}
    assert json_form("undefined") == {"$undefined": True}
    assert json_form("{oops") == {"$json": "{oops"}
    assert json_form("NaN") == {"$number": "NaN"}
    deep = "[" * 200 + "]" * 200
    assert json_form(deep) == {"$json": deep}
    bottomless = "[" * 200_000
    assert json_form(bottomless) == {"$json": bottomless}


def test_keys_and_bytes() -> None:
    assert [escaped_key(key) for key in ("a", "$a", "$$", "")] == ["a", "$$a", "$$$", ""]
    assert binary(b"") == {"$bytes": ""}
