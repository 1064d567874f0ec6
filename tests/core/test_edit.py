"""What put and patch change, and the update that does it."""

import pytest

from gateway.core.crdt import DocumentBroken, edited
from gateway.core.document import Document
from gateway.core.edit import REMOVED, entries, patch, put
from gateway.core.errors import Code, GatewayError
from gateway.core.local_session import LocalSession
from gateway.core.outbox import Relay
from gateway.core.session import Progress, Standing
from tests.core.edits import Author, facts
from tests.core.sessions import Given


def after(content: dict, changes: dict, *, verb: str = "patch", root: str = "") -> dict:
    """The projection after a change of a document with these root maps."""
    author = Author(1)
    for name, fields in content.items():
        for key, value in fields.items():
            author.set(key, value, root=name)
    document = Document("orders/1")
    document.apply([(author.whole(), facts(author.whole()))])
    plan = (put if verb == "put" else patch)(document.project(), changes, root)
    update = document.edited(7, plan)
    if update:
        document.apply([(update, facts(update))])
        assert document.clocks.get(7, 0) <= 10
    return document.project()


@pytest.mark.parametrize(
    ("content", "changes", "expected"),
    [
        ({}, {"a": 1}, {"fields": {"a": 1}}),
        ({"order": {"a": 1}}, {"b": 2}, {"order": {"a": 1, "b": 2}}),
        ({"o": {"a": 1}, "x": {"y": 0}}, {"a": None, "b": 2}, {"fields": {"b": 2}, "x": {"y": 0}}),
        (
            {"x": {"y": {"z": 1, "w": 2}}},
            {"y": {"z": None, "q": {"r": None}}},
            {"x": {"y": {"w": 2, "q": {}}}},
        ),
        ({"x": {"y": 1}}, {"y": {"z": 2}}, {"x": {"y": {"z": 2}}}),
        ({"x": {"$price": 1}}, {"$price": 2}, {"x": {"$$price": 2}}),
        ({"x": {"y": 1}}, {"n": None}, {"x": {"y": 1}}),
    ],
)  # fmt: skip
def test_a_patch(content: dict, changes: dict, expected: dict) -> None:
    assert after(content, changes) == expected


def test_a_put_replaces_and_keeps_null() -> None:
    assert after({"x": {"a": 1, "b": 2}}, {"b": 2, "c": None}, verb="put") == {
        "x": {"b": 2, "c": None}
    }
    assert after({"x": {"a": 1}, "y": {"b": 2}}, {"b": 3}, verb="put") == {"y": {"b": 3}}
    assert after({"x": {"a": 1}, "y": {"b": 2}}, {"b": 3}, verb="put", root="x") == {
        "x": {"b": 3},
        "y": {"b": 2},
    }
    assert after({}, {}, verb="put") == {}


def test_what_entries_gave_is_put_back_without_a_change() -> None:
    from pycrdt import Doc, Map, Text

    doc: Doc = Doc()
    doc.get("b", type=Map).update({"x": 1, "$price": [{"$a": b"raw"}], "both": 2})
    doc.get("a", type=Map).update({"note": Text("hello"), "raw": b"raw", "both": 1})
    doc.get("text", type=Text).insert(0, "not a field")
    whole = doc.get_update()
    document = Document("orders/1")
    document.apply([(whole, facts(whole))])
    fields = entries(document.project())
    assert fields["both"] == 1 and fields["$price"] == [{"$$a": {"$bytes": "cmF3"}}]
    assert set(fields) == {"x", "$price", "both", "note", "raw"}
    assert document.edited(7, put(document.project(), fields)) == b""
    assert set(entries(document.project(), "b")) == {"x", "$price", "both"}
    update = document.edited(7, put(document.project(), {**fields, "x": 2}))
    document.apply([(update, facts(update))])
    assert entries(document.project()) == {**fields, "x": 2}


def test_a_patch_removes_a_null() -> None:
    author = Author(1)
    author.set("gone", None, root="fields")
    document = Document("orders/1")
    document.apply([(author.whole(), facts(author.whole()))])
    assert patch(document.project(), {"gone": None}) == {"fields": {"gone": REMOVED}}


def test_what_is_there_already_changes_nothing() -> None:
    author = Author(1)
    whole = author.set("a", True)
    assert edited("orders/1", whole, 7, {"map": {"a": True, "b": REMOVED}}) == b""
    assert edited("orders/1", whole, 7, {"map": {"a": 1}}) != b"", "true is not 1"


def test_shared_text_is_not_overwritten() -> None:
    from pycrdt import Doc, Map, Text

    doc: Doc = Doc()
    doc.get("map", type=Map)["note"] = Text("hello")
    whole = doc.get_update()
    assert edited("orders/1", whole, 7, {"map": {"note": "hello"}}) == b""
    for value in ("other", REMOVED):
        with pytest.raises(GatewayError) as caught:
            edited("orders/1", whole, 7, {"map": {"note": value}})
        assert caught.value.code == "shared-type"


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2**53 + 1, "beyond 2^53"),
        (-(10**22), "beyond 2^53"),
        ("\ud800", "half a character"),
        ({"\udfff": 1}, "half a character"),
        ([{"a": [float("inf")]}], "infinite or NaN"),
        (float("nan"), "infinite or NaN"),
        (nested(33), "deeper than 32"),
        (nested(5_000), "deeper than 32"),
    ],
)
def test_what_a_document_cannot_hold_is_refused(value: object, said: str) -> None:
    for change in (put, patch):
        with pytest.raises(GatewayError) as caught:
            change({}, {"ok": True, "a": value})
        assert (caught.value.code, caught.value.exit_code) == ("usage", 64)
        assert said in caught.value.sentence
        caught.value.sentence.encode()
    with pytest.raises(GatewayError):
        put({}, {}, root="\ud800")


@pytest.mark.parametrize("value", [2**53, -(2**53), 1e300, True, None, "🍔", nested(32), {}])
def test_what_is_just_within_the_limits_is_stored_as_it_is(value: object) -> None:
    assert after({}, {"a": value}, verb="put") == {"fields": {"a": value}}


def test_a_value_the_library_dies_of_breaks_the_document_and_nothing_else() -> None:
    with pytest.raises(DocumentBroken):
        edited("orders/1", b"\x00\x00", 7, {"map": {"a": 10**22}})


def test_the_session_of_this_device_tells_what_was_decided() -> None:
    decided: list[tuple[int, Code | None, str]] = []
    session = LocalSession("me", lambda *what: decided.append(what))
    session.refuse("orders/1", 2, Code.QUOTA, "full")
    session.acknowledge(1)
    session.acknowledge(2)
    assert decided == [(1, None, ""), (2, Code.QUOTA, "full")]


def test_the_session_of_this_device_has_no_link() -> None:
    session = LocalSession("me", lambda *what: None)
    assert session.progress("orders/1") == Progress(Standing.HAS)
    session.subscribe(1, "orders", "")
    session.reconcile(1, ours=True, payload=b"")
    session.ask("orders/1", b"\x00")
    session.offer("orders/1", Relay(b""))
    session.offer_presence("orders/1", None)
    session.echo_presence("orders/1", [1])
    session.finish("orders/1")
    session.released("orders/1")
    session.deny("orders/1", Code.FORBIDDEN, "no")
    session.close(Code.RESET, "no")
    assert session.first_events() == session.receive(b"x") == ()
    assert session.data_to_send(Given(None)) == [] and not session.tick(1.0)
    assert session.may_read("a/b") and session.may_write("a/b") and not session.awaits("a/b")
