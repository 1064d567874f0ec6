"""Documents as JSON: every type, values JSON cannot say, caps, and states made by hand."""

import json
from pathlib import Path

import pytest

from gateway.core import projection, sequence
from gateway.core.errors import PeerError
from gateway.core.fingerprint import write_varints
from gateway.core.projection import MAX_NESTING, project
from gateway.core.structs import read_update
from gateway.core.varint import write_string
from tests.core.facts import document_of

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "projection.json").read_text())

HAS_PARENT = "0101" + "0172"


def shown(data: str) -> dict:
    return project(read_update(bytes.fromhex(data)))


@pytest.mark.parametrize("case", VECTORS, ids=[case["name"] for case in VECTORS])
def test_what_yjs_wrote(case: dict) -> None:
    document = document_of(bytes.fromhex(update) for update in case["updates"])
    projected = document.project()
    assert projected == case["expected"]
    assert json.loads(json.dumps(projected, allow_nan=False)) == projected


def types_inside(levels: int, number: int) -> bytes:
    """One type in the other, ``levels`` deep, and a text in the last."""
    named = write_string("p") if number == 3 else b""
    first = b"\x07\x01" + write_string("r") + bytes((number,)) + named
    inner = [
        b"\x07\x00" + write_varints((1, clock)) + bytes((number,)) + named
        for clock in range(levels - 1)
    ]
    last = b"\x04\x00" + write_varints((1, levels - 1)) + write_string("x")
    head = write_varints((1, levels + 1, 1, 0))
    return head + first + b"".join(inner) + last + b"\x00"


def depth(value: object) -> int:
    return 1 + depth(value[0]) if isinstance(value, list) else 0


def test_nested_types_have_an_end() -> None:
    whole = project(read_update(types_inside(MAX_NESTING, 0)))
    assert depth(whole["r"]) == MAX_NESTING
    cut = project(read_update(types_inside(5_000, 0)))
    assert depth(cut["r"]) == MAX_NESTING + 1
    assert '{"$truncated": true}' in json.dumps(cut)


def test_nested_xml_has_an_end() -> None:
    whole = project(read_update(types_inside(MAX_NESTING, 3)))["r"]["$xml"]
    assert whole == "<p>" * MAX_NESTING + "x" + "</p>" * MAX_NESTING
    assert "<!--truncated-->" in project(read_update(types_inside(5_000, 3)))["r"]["$xml"]


def test_the_number_of_values_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    data = "01020100" + "08010172" + "037d017d027d03" + "08010173" + "017d04" + "00"
    assert shown(data) == {"r": [1, 2, 3], "s": [4]}
    monkeypatch.setattr(projection, "MAX_VALUES", 3)
    assert shown(data) == {"r": [{"$truncated": True}], "s": {"$truncated": True}}


def test_the_work_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients at one place cost one step each, since the highest comes first."""
    clients = "".join(f"01{client:02x}00" + "0801" + "0172" + "01" + "7d01" for client in (3, 2, 1))
    assert shown("03" + clients + "00") == {"r": [1, 1, 1]}
    monkeypatch.setattr(sequence, "MAX_STEPS", 2)
    assert shown("03" + clients + "00") == {"r": [1, 1, 1]}
    monkeypatch.setattr(sequence, "MAX_STEPS", 1)
    assert shown("03" + clients + "00") == {"$truncated": True}


@pytest.mark.parametrize(
    "data",
    [
        "0101010084" + "0200" + "0161" + "00",
        "0101010084" + "0105" + "0161" + "00",
        "02" + "01010084" + "0200" + "0161" + "01020084" + "0100" + "0161" + "00",
    ],
    ids=["a client that is missing", "its own future", "a circle"],
)
def test_a_state_that_lacks_causes(data: str) -> None:
    with pytest.raises(PeerError):
        shown(data)


def test_a_state_that_does_not_begin_at_zero() -> None:
    with pytest.raises(PeerError):
        shown("02" + "01020384" + "0201" + "0161" + "010205" + "0401" + "0172" + "0161" + "00")


def test_a_skip_is_passed_over() -> None:
    assert shown("01020100" + "0a05" + "0401" + "0172" + "0161" + "00") == {"r": "a"}


def test_a_cause_inside_a_skip_is_missing() -> None:
    with pytest.raises(PeerError):
        shown("01030100" + "0a05" + "04010172" + "0161" + "84" + "0102" + "0161" + "00")


def test_what_was_collected_has_no_place() -> None:
    """Items beside collected ones take the parent of the other neighbour, or none."""
    gone = "01020100" + "0001" + "84" + "0100" + "0161"
    assert shown(gone + "00") == {}
    beside = "01030100" + "0001" + "0401" + "0172" + "0162" + "c4" + "0100" + "0101" + "0161"
    assert shown(beside + "00") == {"r": "ab"}
    before = "01030100" + "0001" + "0401" + "0172" + "0162" + "c4" + "0101" + "0100" + "0161"
    assert shown(before + "00") == {"r": "ba"}


def test_deletions_inside_a_struct() -> None:
    text = "01010100" + "0401" + "0172" + "06" + "616263646566"
    assert shown(text + "01" + "0102" + "0101" + "0302") == {"r": "acf"}
    assert shown(text + "01" + "0101" + "0402") == {"r": "abcd"}
    assert shown(text + "01" + "0101" + "0006") == {}
    assert shown(text + "01" + "0101" + "0903") == {"r": "abcdef"}
    assert shown(text + "01" + "0201" + "0003") == {"r": "abcdef"}


def test_the_parts_of_a_struct_are_found_by_their_clocks() -> None:
    """A text of three parts, into which others inserted at either side of a boundary."""
    text = "01010200" + "0401" + "0172" + "03" + "616263"
    after = "010100" + "84" + "0200" + "0131"
    assert shown("02" + text[2:] + after + "00") == {"r": "a1bc"}
    both = "020100" + "84" + "0202" + "0132" + "84" + "0200" + "0131"
    assert shown("02" + text[2:] + both + "00") == {"r": "a1bc2"}
    before = "010100" + "44" + "0202" + "0131"
    assert shown("02" + text[2:] + before + "00") == {"r": "1abc"}
    values = "010200" + "0801" + "0172" + "02" + "7d017d02"
    assert shown("02" + values + "010100" + "88" + "0200" + "01" + "7d09" + "00") == {
        "r": [1, 9, 2]
    }
    erased = "010200" + "0101" + "0172" + "04"
    assert shown("02" + erased + "010100" + "88" + "0201" + "01" + "7d09" + "00") == {"r": [9]}


def test_a_key_set_with_several_values_shows_the_last() -> None:
    several = "010200" + "2801" + "0172" + "016b" + "02" + "7d017d02"
    assert shown("01" + several + "00") == {"r": {"k": 2}}
    behind = "010100" + "a8" + "0200" + "01" + "7d09"
    assert shown("02" + several + behind + "00") == {"r": {"k": 2}}


def test_keys_of_concurrent_writers() -> None:
    """The highest client wins, as in Yjs, and the lower one's value is the left neighbour."""
    low = "010100" + "2801" + "0172" + "016b" + "01" + "7d01"
    high = "010200" + "2801" + "0172" + "016b" + "01" + "7d02"
    deleted = "01" + "0101" + "0001"
    assert shown("02" + high + low + deleted) == {"r": {"k": 2}}
    assert shown("02" + high + low + "01" + "0201" + "0001") == {}


def test_formats_that_format_nothing_are_no_content() -> None:
    assert shown("01010100" + "0601" + "0172" + "0162" + "0474727565" + "00") == {}


def test_a_text_with_other_things_in_it() -> None:
    text = "010301" + "00" + "0401" + "0172" + "0161"
    embedded = "87" + "0100" + "01" + "88" + "0101" + "02" + "7d017d02"
    assert shown(text + embedded + "00") == {
        "r": {"$text": [{"insert": "a"}, {"insert": {}}, {"insert": 1}, {"insert": 2}]}
    }


def test_xml_with_other_things_in_it() -> None:
    fragment = "01040100" + "0701" + "0172" + "03" + "0170" + "0800" + "0100" + "01" + "7d05"
    more = "87" + "0101" + "01" + "87" + "0102" + "05" + "0168"
    assert shown(fragment + more + "00") == {"r": {"$xml": "<p>5{}<h></h></p>"}}


def test_marks_in_xml_with_and_without_attributes() -> None:
    link = "0600" + "0100" + "0161" + "0c" + b'{"href":"<"}'.hex()
    text = "01040100" + "0701" + "0172" + "06" + link
    more = "86" + "0101" + "0162" + "0474727565" + "84" + "0102" + "0178"
    assert shown(text + more + "00") == {"r": {"$xml": '<a href="&lt;"><b>x</b></a>'}}


def test_an_xml_attribute_that_was_removed() -> None:
    element = "01030100" + "0701" + "0172" + "03" + "0170"
    attributes = "2800" + "0100" + "0161" + "01" + "7d01" + "2800" + "0100" + "0162" + "01" + "7d02"
    assert shown(element + attributes + "01" + "0101" + "0101") == {"r": {"$xml": '<p b="2"></p>'}}


def test_a_type_of_unknown_number_is_told_from_its_content() -> None:
    unknown = "01020100" + "0701" + "0172" + "0f" + "0800" + "0100" + "01" + "7d01"
    assert shown(unknown + "00") == {"r": [[1]]}
    assert shown("01010100" + "0701" + "0172" + "0f" + "00") == {"r": [None]}


def test_xml_beside_keys_is_an_array() -> None:
    both = "01020100" + "0701" + "0172" + "04" + "2801" + "0172" + "016b" + "01" + "7d01"
    assert shown(both + "00") == {"r": {"$map": {"k": 1}, "$sequence": [{"$xml": ""}]}}
