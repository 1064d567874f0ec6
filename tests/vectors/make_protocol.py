"""Writes tests/vectors/protocol.json and the examples in docs/protocol.md.

Run as ``python -m tests.vectors.make_protocol``; a test fails when either is not current.
"""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from gateway.core import messages as m
from gateway.core.framing import batches, frame
from gateway.core.reconcile import Catalogue, opening
from gateway.core.y_messages import awareness_payload

HERE = Path(__file__).parent
VECTORS = HERE / "protocol.json"
PAGE = HERE.parent.parent / "docs" / "protocol.md"
BEGIN, END = "<!-- vectors:begin -->\n", "<!-- vectors:end -->"

PEER_A = bytes(range(16))
PEER_B = bytes(range(16, 32))
# A text "hi" typed by client 1 into root "note", as Yjs encodes it.
HI = bytes.fromhex("01010100040104 6e6f7465 02686900".replace(" ", ""))
EMPTY = bytes.fromhex("0000")
TELLS = m.PeerEntry(PEER_B, 1, b"", 0, 0, (("seq", "7"), ("age", "2"), ("name", "office")))
BEHIND = m.PeerEntry(
    PEER_A, 0, PEER_B, 2, 40, (("app", "kds"), ("since", "90"), ("wants", "orders"))
)
ONE_DOCUMENT = Catalogue([("orders/today", bytes(16))])
PRESENCE = awareness_payload([(1, 1, '{"name":"Ada"}')])

EXAMPLES: list[tuple[str, list[m.Record]]] = [
    (
        "hello of a tablet",
        [m.Hello(1, 1, PEER_A, 1, 262_144, (("app", "kiosk"), ("schema", "3")))],
    ),
    ("hello without a description", [m.Hello(1, 2, PEER_B, 33, 65_536)]),
    ("nothing to show", [m.Auth(0, b"")]),
    ("a token", [m.Auth(2, b"abc.def.ghi")]),
    ("everything granted", [m.Grant((("*", 3),))]),
    ("menu to read, orders to write", [m.Grant((("menu", 1), ("orders", 3)))]),
    ("open an empty document", [m.Open(1, "orders/today", b"\x00")]),
    ("open with a state vector", [m.Open(300, "menu/café", b"\x01\x01\x02")]),
    ("nothing lacks", [m.Diff(1, 0, bytes(16), EMPTY)]),
    ("first part of an answer", [m.Diff(1, m.DIFF_MORE, b"", HI)]),
    ("a live change", [m.Update(1, HI)]),
    ("open, answer and change in one message", [
        m.Open(2, "orders/today", b"\x00"), m.Diff(2, 0, b"", EMPTY), m.Update(2, HI),
    ]),
    ("no more interest", [m.Close(2)]),
    ("up to 7 is on disk", [m.Ack(7)]),
    ("number 8 was not taken", [m.Refuse(8, 4422, "an update that cannot be accepted")]),
    ("no right to open", [m.Deny("staff/wages", 4403, "no right to read this document")]),
    ("somebody is here", [m.Awareness(1, PRESENCE)]),
    ("dropped, ask again", [m.Stale(1)]),
    ("the grill's orders", [m.Subscribe(1, "orders", '{"station":"grill"}')]),
    ("end of a subscription", [m.Unsubscribe(1)]),
    ("equal sets", [m.Reconcile(0, opening(ONE_DOCUMENT, bytes(range(8))))]),
    ("a peer behind a peer", [m.Peers((TELLS, BEHIND))]),
    ("first handshake message", [m.Noise(1, b"\x01\x02\x03")]),
    ("what the acceptor shows", [m.Member(4, b"\x84\x43")]),
    ("paired", [m.Ticket(b"\x82\x41", bytes(range(32)))]),
    ("one revocation", [m.Revoked(b"\x82\x40")]),
    ("all revocations heard of", [m.Digest(PEER_A)]),
    ("a store as it is now", [m.State(b"\x01\x02\x03\x04")]),
    ("are you there", [m.Ping(5)]),
    ("yes", [m.Pong(5)]),
    ("the gateway restarts", [m.Goodbye(1001, "the gateway stops", 500)]),
]  # fmt: skip

# Bytes a receiver must skip, and bytes that must close the link with 4400.
SKIPPED: list[tuple[str, str, list[m.Record]]] = [
    ("an unknown type between two known ones", "020505" + "03" + "3f0102" + "020605",
     [m.Ping(5), m.Pong(5)]),
    ("more fields than known", "0405050909", [m.Ping(5)]),
]  # fmt: skip
REFUSED = [
    ("an empty message", ""),
    ("an empty record", "00"),
    ("a length beyond the end", "0505"),
    ("a field cut off", "0105"),
    ("a number not in its shortest form", "03058500"),
    ("a number above 2^53-1", "0905ffffffffffffff7f"),
    ("text that is not UTF-8", "060701" + "02c328" + "00"),
    ("a peer id of 3 bytes", "0a010101" + "03010203" + "000000"),
    ("a fingerprint of 3 bytes", "0908010003010203" + "0000"),
    ("a digest of 3 bytes", "051803010203"),
    ("the digest of a store of 3 bytes", "051a03010203"),
]


def vectors() -> dict[str, Any]:
    """The content of protocol.json."""
    good = [
        {"name": name, "hex": _message(records).hex(), "records": [plain(r) for r in records]}
        for name, records in EXAMPLES
    ]
    skipped = [
        {"name": name, "hex": text, "records": [plain(r) for r in records]}
        for name, text, records in SKIPPED
    ]
    refused = [{"name": name, "hex": text} for name, text in REFUSED]
    return {"version": m.VERSION, "good": good, "skipped": skipped, "refused": refused}


def plain(record: Any) -> dict[str, Any]:
    """A record as JSON: its type in capitals and its fields, bytes in hex."""
    values = {entry.name: _plain(getattr(record, entry.name)) for entry in fields(record)}
    return {"type": type(record).__name__.upper(), **values}


def page_section() -> str:
    """The examples as they stand in docs/protocol.md."""
    lines = []
    for entry in vectors()["good"]:
        records = " ".join(json.dumps(r, ensure_ascii=False) for r in entry["records"])
        lines.append(f"- {entry['name']}\n  `{entry['hex']}`\n  `{records}`\n")
    return "".join(lines)


def _message(records: list[m.Record]) -> bytes:
    (message,) = batches((frame(m.encode(record)) for record in records), 262_144)
    return message


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, m.PeerEntry):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return value


def main() -> None:
    """Write both files."""
    VECTORS.write_text(json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + page_section() + END + after)


if __name__ == "__main__":
    main()
