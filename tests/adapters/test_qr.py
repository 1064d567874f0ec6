"""QR codes in a terminal."""

from gateway.adapters.qr import terminal_qr
from tests.vectors.make_pairing import INVITATIONS


def test_a_pairing_fits_into_a_terminal() -> None:
    lines = terminal_qr(INVITATIONS[0].uri()).splitlines()
    assert len(lines) <= 34
    assert set("".join(lines)) <= set("\u2580\u2584\u2588 \x1b[0123456789;m")
