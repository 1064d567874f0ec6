"""Reading the structs of an update; the vectors of projection read every kind of content."""

import pytest

from gateway.core.errors import PeerError
from gateway.core.structs import (
    ANY,
    DELETED,
    EMBED,
    FORMAT,
    GC,
    JSON,
    SKIP,
    STRING,
    TYPE,
    Format,
    SharedType,
    read_update,
    units,
)

# One client, one struct behind origin (1, 0): header, info, origin; content follows.
HEAD = "01 01 07 05"
BEHIND = "01 00"


def read(content: str) -> tuple:
    struct = read_update(bytes.fromhex(HEAD + content + "00")).structs[0]
    return struct.reference, struct.end - struct.clock, struct.content


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("00 03", (GC, 3, None)),
        ("0a 03", (SKIP, 3, None)),
        ("81" + BEHIND + "04", (DELETED, 4, None)),
        ("82" + BEHIND + "02 0131 09756e646566696e6564", (JSON, 2, [1, {"$undefined": True}])),
        ("83" + BEHIND + "01ff", (3, 1, {"$bytes": "/w=="})),
        ("84" + BEHIND + "06 61f09f918d62", (STRING, 4, "a👍b")),
        ("85" + BEHIND + "027b7d", (EMBED, 1, {})),
        ("86" + BEHIND + "0162 0474727565", (FORMAT, 1, Format("b", True))),
        ("87" + BEHIND + "01", (TYPE, 1, SharedType(1, ""))),
        ("87" + BEHIND + "03 0170", (TYPE, 1, SharedType(3, "p"))),
        ("88" + BEHIND + "02 7d01 7e", (ANY, 2, [1, None])),
    ],
)
def test_contents(content: str, expected: tuple) -> None:
    assert read(content) == expected


def test_where_a_struct_belongs() -> None:
    data = bytes.fromhex(
        "01 04 07 05 c4 0100 0203 0161 04 0101 72 0161 24 00 0905 016b 0161 0a02" + "00"
    )
    first, second, third, skip = read_update(data).structs
    assert (first.origin, first.right_origin, first.parent) == ((1, 0), (2, 3), None)
    assert (second.origin, second.parent, second.parent_sub) == (None, "r", None)
    assert (third.parent, third.parent_sub, third.clock) == ((9, 5), "k", 7)
    assert data[third.first : third.last] == bytes.fromhex("24 00 0905 016b 0161")
    assert (skip.clock, skip.end) == (8, 10)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "01",
        "01 01 07 05",
        "01 01 07 05 89 0100 00 00",
        "01 01 07 05 8b 0100 00 00",
        "00 00 00",
        "00 01 05 01 00",
    ],
)
def test_what_is_no_update(data: str) -> None:
    with pytest.raises(PeerError):
        read_update(bytes.fromhex(data))


def test_lengths_are_utf_16_units() -> None:
    assert [units(text) for text in ("", "abc", "é", "👍", "a👍b")] == [0, 3, 1, 2, 4]
