"""The wire's records against the shared vectors, and what a strict reader refuses."""

import contextlib
import json

import pytest

from gateway.core import messages as m
from gateway.core.errors import Code, PeerError
from gateway.core.framing import MAX_RECORDS, batches, frame, records
from tests.vectors import make_protocol as made

STORED = json.loads(made.VECTORS.read_text())


def decoded(message: bytes) -> list[dict]:
    found = [m.decode(record) for record in records(message)]
    return [made.plain(record) for record in found if record is not None]


def test_vectors_and_page_are_current() -> None:
    assert json.loads(json.dumps(made.vectors())) == STORED
    assert made.BEGIN + made.page_section() + made.END in made.PAGE.read_text()


@pytest.mark.parametrize("entry", STORED["good"] + STORED["skipped"], ids=lambda e: e["name"])
def test_vector_decodes(entry: dict) -> None:
    assert json.loads(json.dumps(decoded(bytes.fromhex(entry["hex"])))) == entry["records"]


@pytest.mark.parametrize("entry", STORED["refused"], ids=lambda e: e["name"])
def test_vector_is_refused(entry: dict) -> None:
    with pytest.raises(PeerError) as caught:
        decoded(bytes.fromhex(entry["hex"]))
    assert caught.value.code is Code.MALFORMED


def test_every_type_has_an_example() -> None:
    shown = {type(record) for _, examples in made.EXAMPLES for record in examples}
    assert shown == {build for build, _ in m.TYPES.values()}


@pytest.mark.parametrize(("name", "examples"), made.EXAMPLES, ids=lambda e: str(e)[:30])
def test_cut_anywhere_is_refused_or_a_shorter_rest(name: str, examples: list[m.Record]) -> None:
    for record in examples:
        body = m.encode(record)
        message = frame(body)
        for end in range(len(message)):
            with pytest.raises(PeerError):
                records(message[:end])
        for end in range(len(body)):
            with contextlib.suppress(PeerError):
                m.decode(body[:end])


@pytest.mark.parametrize(
    "record",
    [
        m.Hello(1, 1, bytes(16), 0, 9_999, (("k" * 70, "v"),)),
        m.Hello(1, 1, bytes(16), 0, 9_999, (("k", "v" * 300),)),
        m.Hello(1, 1, bytes(16), 0, 9_999, tuple((str(i), "") for i in range(17))),
        m.Grant(tuple((str(i), 1) for i in range(257))),
    ],
)
def test_lists_and_texts_are_bounded(record: m.Record) -> None:
    with pytest.raises(PeerError) as caught:
        m.decode(m.encode(record))
    assert caught.value.code is Code.MALFORMED


def test_batches_keep_order_and_limit() -> None:
    framed = [frame(bytes([9, number]) + bytes(40)) for number in range(100)]
    messages = list(batches(framed, 100))
    assert b"".join(messages) == b"".join(framed)
    assert max(map(len, messages)) <= 100
    assert len(list(batches([frame(b"\x09" + bytes(500))] * 2, 100))) == 2
    assert list(batches([], 100)) == []


def test_a_message_holds_a_bounded_number_of_records() -> None:
    one = frame(b"\x05\x01")
    assert len(records(one * MAX_RECORDS)) == MAX_RECORDS
    with pytest.raises(PeerError):
        records(one * (MAX_RECORDS + 1))
    assert len(list(batches([one] * (MAX_RECORDS + 1), 262_144))) == 2
