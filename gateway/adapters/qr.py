"""QR codes for a terminal, by segno."""

import io

import segno

# Quiet modules around it; the terminal's own margin does the rest.
BORDER = 2


def terminal_qr(text: str) -> str:
    """A QR code as lines of half blocks, for a terminal of any colours."""
    out = io.StringIO()
    segno.make_qr(text, error="l").terminal(out, border=BORDER, compact=True)
    return out.getvalue()
