"""QR codes in a terminal."""

from itertools import zip_longest

import zxingcpp

from gateway.adapters.qr import terminal_qr
from tests.vectors.make_pairing import INVITATIONS

# Of a module on a screen; a decoder wants more than one.
PIXELS = 4
UPPER, LOWER = "\u2588\u2580", "\u2588\u2584"
LIGHT, DARK = b"\xff", b"\x00"


def as_seen(drawn: str) -> memoryview:
    """The grey pixels a camera sees of half blocks, light on a dark terminal."""
    lines = drawn.splitlines()
    modules = [[sign in half for sign in line] for line in lines for half in (UPPER, LOWER)]
    square = list(zip(*zip_longest(*modules, fillvalue=True), strict=True))
    rows = [b"".join((LIGHT if light else DARK) * PIXELS for light in row) for row in square]
    pixels = b"".join(row * PIXELS for row in rows)
    return memoryview(pixels).cast("B", (len(rows) * PIXELS, len(rows[0])))


def test_a_pairing_is_read_back_from_a_terminal() -> None:
    for invitation in INVITATIONS:
        drawn = terminal_qr(invitation.uri())
        assert len(drawn.splitlines()) <= 34
        assert [code.text for code in zxingcpp.read_barcodes(as_seen(drawn))] == [invitation.uri()]
