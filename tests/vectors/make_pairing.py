"""Writes tests/vectors/pairing.json and its examples in docs/protocol.md.

Run as ``python -m tests.vectors.make_pairing``; a test fails when either is not current.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.core.pairing import PairRequest
from gateway.core.pairing_uri import Invitation

HERE = Path(__file__).parent
VECTORS = HERE / "pairing.json"
PAGE = HERE.parent.parent / "docs" / "protocol.md"
BEGIN, END = "<!-- pairing:begin -->\n", "<!-- pairing:end -->"

STATIC, SECRET = sha256(b"static").digest(), sha256(b"secret").digest()
STORE = sha256(b"store").digest()[:16]
INVITATIONS = [
    Invitation(STATIC, SECRET, STORE, ("192.168.1.20:8787",)),
    Invitation(STATIC, SECRET, STORE, ("[fe80::1]:8787", "shop.local:80")),
]
REQUEST = PairRequest("Till 3", "kiosk", sha256(b"signing").digest())


def vectors() -> dict[str, Any]:
    """The content of pairing.json."""
    return {
        "invitations": [
            {
                "uri": invitation.uri(),
                "static": invitation.static.hex(),
                "secret": invitation.secret.hex(),
                "store": invitation.store.hex(),
                "addresses": invitation.addresses,
            }
            for invitation in INVITATIONS
        ],
        "request": {
            "hex": REQUEST.encode().hex(),
            "name": REQUEST.name,
            "role": REQUEST.role,
            "signing_key": REQUEST.signing_key.hex(),
        },
    }


def page_section() -> str:
    """The examples as they stand in docs/protocol.md."""
    made = vectors()
    first, request = made["invitations"][0], made["request"]
    told = {key: value for key, value in first.items() if key != "uri"}
    said = {key: value for key, value in request.items() if key != "hex"}
    return (
        f"- a QR code\n  `{first['uri']}`\n  `{json.dumps(told)}`\n"
        f"- what a device says to be paired\n  `{request['hex']}`\n  `{json.dumps(said)}`\n"
    )


def main() -> None:
    """Write both."""
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + page_section() + END + after)


if __name__ == "__main__":
    main()
