"""Writes tests/vectors/beacon.json: advertisements, and whose store they are of.

Run as ``python -m tests.vectors.make_beacon``.
"""

import json
from base64 import urlsafe_b64encode
from pathlib import Path

from gateway.core.beacon import FULL, PAIRING, Beacon, state_digest, token

VECTORS = Path(__file__).parent / "beacon.json"
ROOT = bytes(range(32))
OTHER = bytes(range(1, 33))
PEER = bytes(range(16))
# What a later version may add.
MORE = b"more"


def main() -> None:
    """Write the file."""
    cases = [
        _case(Beacon(token(root, nonce), state_digest(root, PEER, b"1"), state, address, port))
        for root, nonce, state, address, port in (
            (ROOT, bytes(3), 0, "", 0),
            (ROOT, b"abc", PAIRING, "192.168.1.20", 8787),
            (ROOT, b"\xff\xfe\xfd", FULL, "10.0.0.1", 65_535),
            (OTHER, b"abc", PAIRING | FULL, "", 0),
        )
    ]
    vectors = {"root": ROOT.hex(), "peer": PEER.hex(), "state": b"1".hex(), "cases": cases}
    VECTORS.write_text(json.dumps(vectors, indent=1) + "\n")


def _case(beacon: Beacon) -> dict[str, object]:
    later = beacon.name_bytes() + MORE
    return {
        # As a name: what is sent now, and by a later version.
        "name": urlsafe_b64encode(beacon.name_bytes()).rstrip(b"=").decode(),
        "later": urlsafe_b64encode(later).rstrip(b"=").decode(),
        "service_data": later.hex(),
        "manufacturer_data": (beacon.manufacturer_data() + MORE).hex(),
        "token": beacon.token.hex(),
        "digest": beacon.digest.hex(),
        "state": beacon.state,
        "address": beacon.address,
        "port": beacon.port,
        "ours": beacon.token == token(ROOT, beacon.token[:3]),
    }


if __name__ == "__main__":
    main()
