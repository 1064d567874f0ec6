"""The guard: what it says of sound bytes, and that it refuses every other kind."""

import pytest

from gateway.core.errors import Code, PeerError
from gateway.core.guard import (
    AwarenessEntry,
    Limits,
    Span,
    inspect_awareness,
    inspect_state_vector,
    inspect_update,
)
from gateway.core.json_text import check_json
from gateway.core.varint import write_bytes, write_string, write_varint
from gateway.core.y_messages import awareness_payload
from tests.core.edits import Author

v, s = write_varint, write_string
ROOT = b"\x01" + s("r")
NO_DELETES = b"\x00"


def block(*structs: bytes, client: int = 5, clock: int = 0) -> bytes:
    """One client's structs."""
    return v(len(structs)) + v(client) + v(clock) + b"".join(structs)


def update(*blocks: bytes, deletes: bytes = NO_DELETES) -> bytes:
    """A whole update."""
    return v(len(blocks)) + b"".join(blocks) + deletes


def anys(*values: bytes) -> bytes:
    """An item of lib0 values in a root."""
    return b"\x08" + ROOT + v(len(values)) + b"".join(values)


def text(content: str) -> bytes:
    """An item of text in a root."""
    return b"\x04" + ROOT + s(content)


GC_3 = b"\x00\x03"
SKIP_4 = b"\x0a\x04"

SOUND = {
    "nothing": update(),
    "garbage collected": update(block(GC_3)),
    "deleted content": update(block(b"\x01" + ROOT + v(2))),
    "bytes": update(block(b"\x03" + ROOT + write_bytes(b"\x00\xff"))),
    "text": update(block(text("grüße 👩‍🍳"))),
    "embed": update(block(b"\x05" + ROOT + s('{"image":"x"}'))),
    "format": update(block(b"\x06" + ROOT + s("bold") + s("true"))),
    "nested map": update(block(b"\x07" + ROOT + b"\x01")),
    "XML element": update(block(b"\x07" + ROOT + b"\x03" + s("p"))),
    "map key": update(block(b"\x28" + ROOT + s("key") + v(1) + b"\x7e")),
    "child": update(block(b"\x07" + ROOT + b"\x01", b"\x28\x00\x05\x00" + s("k") + v(1) + b"\x7f")),
    "origin": update(block(text("ab"), b"\x84\x05\x01" + s("c"))),
    "both origins": update(block(b"\xc4\x06\x00\x06\x01" + s("c"))),
    "right origin": update(block(b"\x44\x06\x01" + s("c"))),
    "a gap": update(block(GC_3, SKIP_4, GC_3)),
    "a gap last": update(block(GC_3, SKIP_4)),
    "a gap first": update(block(SKIP_4, GC_3)),
    "older origins later": update(block(b"\xc4\x06\x05\x06\x01" + s("c"))),
    "two clients": update(block(GC_3, client=9), block(GC_3, client=5)),
    "children of what is deleted, collected, elsewhere": update(
        block(
            b"\x01" + ROOT + v(2),
            GC_3,
            *[b"\x07\x00\x05" + v(clock) + b"\x01" for clock in (0, 4)],
            b"\x07\x00\x06\x09\x01",
        )
    ),
    "all values": update(
        block(
            anys(
                b"\x7f", b"\x7e", b"\x7d\x05", b"\x7d\xc5\x01", b"\x7c" + bytes(4),
                b"\x7b" + bytes(8), b"\x7a" + bytes(8), b"\x79", b"\x78", b"\x77" + s("x"),
                b"\x76\x01" + s("k") + b"\x75\x02\x7e\x76\x00", b"\x75\x00",
                b"\x74" + write_bytes(b"\xff"),
            )
        )
    ),
    "deletes": update(deletes=v(2) + v(5) + v(2) + b"\x00\x01\x05\x02" + v(6) + v(1) + b"\x00\x01"),
}  # fmt: skip

REFUSED = {
    "empty": b"",
    "one byte": b"\x00",
    "bytes after the end": update() + b"\x00",
    "10 M clients": v(10_000_000),
    "more clients than bytes": b"\x05\x01\x01",
    "structs beyond the bytes": b"\x01\xff\x0f\x05\x00\x00\x00\x00",
    "no structs": update(block()),
    "a client twice": update(block(GC_3), block(GC_3)),
    "clock at the end": update(block(GC_3, clock=2**31 - 3)),
    "GC of nothing": update(block(b"\x00\x00")),
    "GC vault": update(block(b"\x00" + v(2**31))),
    "skip vault": update(block(b"\x0a" + v(2**32 - 10))),
    "sub-document": update(block(b"\x09" + ROOT + s("guid") + b"\x76\x00")),
    "move": update(block(b"\x0b" + ROOT + bytes(4))),
    "content 12": update(block(b"\x0c" + ROOT + bytes(4))),
    "content 31": update(block(b"\x1f" + ROOT + bytes(4))),
    "hook type": update(block(b"\x07" + ROOT + b"\x05" + s("x"))),
    "weak link type": update(block(b"\x07" + ROOT + b"\x07\x00\x00\x00")),
    "origin of itself": update(block(b"\x84\x05\x00" + s("c"))),
    "origin of the future": update(block(b"\x84\x05\x07" + s("c"))),
    "client beyond 2^53": update(block(GC_3)).replace(b"\x05", v(2**53 - 1)[:-1] + b"\x1f"),
    "origin beyond clocks": update(block(b"\x84\x06" + v(2**31 - 1) + s("c"))),
    "parent info 2": update(block(b"\x04\x02" + s("r") + s("c"))),
    "parent that is text": update(block(text("ab"), b"\x28\x00\x05\x00" + s("k") + v(1) + b"\x7e")),
    "root name that is not UTF-8": update(block(b"\x04\x01\x02\xc3\x28" + s("c"))),
    "text that is not UTF-8": update(block(b"\x04" + ROOT + b"\x02\xc3\x28")),
    "lone surrogate": update(block(b"\x04" + ROOT + b"\x03\xed\xa0\x80")),
    "text of 4 G": update(block(b"\x04" + ROOT + v(2**32 - 1))),
    "empty text": update(block(text(""))),
    "format of no JSON": update(block(b"\x06" + ROOT + s("bold") + s("{"))),
    "embed of NaN": update(block(b"\x05" + ROOT + s("NaN"))),
    "JSON of old Yjs": update(block(b"\x02" + ROOT + v(1) + s("1"))),
    "embed of half a character": update(block(b"\x05" + ROOT + s('"\\ud83d"'))),
    "embed beyond all numbers": update(block(b"\x05" + ROOT + s("[1e999]"))),
    "garbage collected with an origin": update(block(b"\x80\x05\x00\x03")),
    "skip with an origin": update(block(b"\x8a\x05\x00\x03")),
    "an integer not in its shortest form": update(block(anys(b"\x7d\x85\x00"))),
    "parent within a text": update(
        block(text("abc"), b"\x28\x00\x05\x01" + s("k") + v(1) + b"\x7e")
    ),
    "parent in a gap of deletions": update(
        block(b"\x01" + ROOT + v(2), text("x"), b"\x07\x00\x05\x02\x01")
    ),
    "bytes beyond the end": update(block(b"\x03" + ROOT + v(99) + b"\x00")),
    "no values": update(block(anys())),
    "values beyond the bytes": update(block(b"\x08" + ROOT + v(2**31) + b"\x7e")),
    "an array of 10 M": update(block(anys(b"\x75" + v(10_000_000)))),
    "an unknown value": update(block(anys(b"\x73"))),
    "a float cut off": b"\x01\x01\x05\x00\x08" + ROOT + b"\x01\x7b\x00",
    "an endless integer": update(block(anys(b"\x7d" + b"\xff" * 12 + b"\x00"))),
    "4 G deleted clients": update(deletes=v(2**32 - 1)),
    "deletions of nothing": update(deletes=b"\x01\x05\x00"),
    "deleted client twice": update(deletes=b"\x02\x05\x01\x00\x01\x05\x01\x04\x01"),
    "4 G deleted ranges": update(deletes=b"\x01\x05" + v(2**32 - 1)),
    "deleted nothing": update(deletes=b"\x01\x05\x01\x00\x00"),
    "deleted ranges overlap": update(deletes=b"\x01\x05\x02\x00\x04\x02\x04"),
    "deleted beyond clocks": update(deletes=b"\x01\x05\x01\x00" + v(2**31)),
    "a varint not in its shortest form": b"\x80\x00\x00",
}

TOO_BIG = {
    "more clients than allowed": v(2_001) + bytes(20_000),
    "long root name": update(block(b"\x04\x01" + s("r" * 129) + s("c"))),
    "long key": update(block(b"\x28" + ROOT + s("k" * 257) + v(1) + b"\x7e")),
    "33 arrays in each other": update(block(anys(b"\x75\x01" * 33 + b"\x7e"))),
    "26,400 arrays in each other": update(block(anys(b"\x75\x01" * 26_400 + b"\x7e"))),
    "a long key of an object": update(block(anys(b"\x76\x01" + s("k" * 257) + b"\x7e"))),
    "JSON 33 deep": update(block(b"\x05" + ROOT + s("[" * 33 + "]" * 33))),
    "33 shared types in each other": update(
        block(
            b"\x07" + ROOT + b"\x00",
            *[b"\x07\x00\x05" + v(clock) + b"\x00" for clock in range(32)],
            text("x" * 300),
        )
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_updates_are_taken_and_every_cut_is_refused(name: str) -> None:
    data = SOUND[name]
    inspect_update(data)
    for end in range(len(data)):
        with pytest.raises(PeerError):
            inspect_update(data[:end])


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused(name: str) -> None:
    with pytest.raises(PeerError) as caught:
        inspect_update(REFUSED[name])
    assert caught.value.code is Code.MALFORMED


@pytest.mark.parametrize("name", TOO_BIG)
def test_what_is_above_a_cap_is_refused_as_too_big(name: str) -> None:
    with pytest.raises(PeerError) as caught:
        inspect_update(TOO_BIG[name])
    assert caught.value.code is Code.TOO_BIG


def test_facts() -> None:
    facts = inspect_update(SOUND["a gap"])
    assert facts.spans == (Span(5, 0, 3), Span(5, 7, 10)) and facts.structs == 3
    facts = inspect_update(SOUND["both origins"])
    assert facts.needs == {6: 2} and facts.spans == (Span(5, 0, 1),)
    facts = inspect_update(SOUND["deletes"])
    assert facts.deletes == (Span(5, 0, 1), Span(5, 5, 7), Span(6, 0, 1))
    assert facts.needs == {5: 7, 6: 1}
    facts = inspect_update(SOUND["text"])
    assert facts.roots == {"r"} and facts.spans == (Span(5, 0, 6 + len("grüße") - 5 + 5),)


def test_limits_hold() -> None:
    with pytest.raises(PeerError) as caught:
        inspect_update(bytes(11), Limits(message_bytes=10))
    assert caught.value.code is Code.TOO_BIG
    many = update(block(*[text("x")] * 3))
    for limits in (Limits(structs=2), Limits(structs=0)):
        with pytest.raises(PeerError):
            inspect_update(many, limits)
    roots = update(block(text("x"), b"\x04\x01" + s("other") + s("y")))
    with pytest.raises(PeerError):
        inspect_update(roots, Limits(roots=1))
    with pytest.raises(PeerError):
        inspect_update(SOUND["deletes"], Limits(delete_ranges=1))
    assert Limits().as_dict()["message_bytes"] == 262_144


def test_state_vectors() -> None:
    author = Author(7)
    author.write("abc")
    assert inspect_state_vector(author.state()) == {7: 3}
    assert inspect_state_vector(b"\x00") == {}
    for data in ("", "01", "808080800f", "ffffff7a", "ffffffff0f", "020101 0101",
                 "0101ffffffff0f", "0000", "01050100"):  # fmt: skip
        with pytest.raises(PeerError):
            inspect_state_vector(bytes.fromhex(data))


def test_awareness() -> None:
    good = [(1, 1, '{"name":"Ada"}'), (2, 0, "null")]
    assert inspect_awareness(awareness_payload(good)) == tuple(AwarenessEntry(*e) for e in good)
    deep = "[" * 40 + "]" * 40
    for entries in ([(1, 2**32, "{}")], [(1, 1, "{a}")], [(1, 1, deep)],
                    [(1, 1, f'"{"x" * 2_048}"')]):  # fmt: skip
        with pytest.raises(PeerError):
            inspect_awareness(awareness_payload(entries))
    for data in (b"", v(2**32), awareness_payload(good) + b"\x00", b"\x01\x80\x01\x01"):
        with pytest.raises(PeerError):
            inspect_awareness(data)


def test_json() -> None:
    for good in ("1", "null", '"[[[["', '{"a":[1,2,{"b":"]"}]}', "[" * 32 + "]" * 32, "9" * 300):
        check_json(good, 32)
    check_json("[" + "[]," * 40 + "0]", 32)
    for bad in (
        "",
        "{",
        "undefined",
        "NaN",
        "[1,]",
        "'a'",
        "[" * 33 + "]" * 33,
        "[" * 99_999,
        "9" * 310,
        "9" * 9_999,
    ):
        with pytest.raises(PeerError):
            check_json(bad, 32)
