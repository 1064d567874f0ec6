"""Writes tests/vectors/noise.json: handshakes, sealed batches and pairing codes.

``published`` is the work of others (``sources`` says whose) and is kept as it is; the rest
is made anew. Run as ``python -m tests.vectors.make_noise``; a test fails when the file is
not current.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.core import noise as n
from gateway.core import pairing_code as p
from gateway.core.primitives import KeyPair

VECTORS = Path(__file__).parent / "noise.json"
Json = dict[str, Any]

# Keys and codes of the examples: anything, but always the same.
PSK = sha256(b"psk").hexdigest()
SECRET = (n.Pattern.IKPSK2, n.Pattern.XXPSK0)
KEYS = {
    role: {kind: sha256(f"{role} {kind}".encode()).hexdigest() for kind in ("static", "ephemeral")}
    for role in ("initiator", "responder")
}
# Below, at and above what one Noise message takes, and the largest batch.
BATCH_BYTES = [1, 100, 65_518, 65_519, 65_520, 131_038, 131_039, 262_144]
CODES = [bytes(20), b"\xff" * 20, bytes(range(20)), bytes(range(236, 256))]
TYPED = [
    "0123456789ABCDEFGHJK",
    "01234-56789-ABCDE-FGHJK",
    "  o1234 5678 9abcde fghjk\t\r\n",
    "OiL23-45678-9abcd-efghj",
    "MNPQR STVWX YZ000 IiLlO",
]
REFUSED = [
    "",
    "01234-56789-ABCDE-FGHJ",
    "01234-56789-ABCDE-FGHJKM",
    "01234-56789-ABCDE-FGHJU",
    "01234_56789_ABCDE_FGHJK",
    "01234\u201356789\u2013ABCDE\u2013FGHJK",
    "\u06601234-56789-ABCDE-FGHJK",
    "\u01311234-56789-ABCDE-FGHJK",
    "-" * 45 + "0123456789ABCDEFGHJK",
]


def side(case: Json, initiator: bool) -> n.Handshake:
    """One side of a handshake of the file."""
    own, peer = case["initiator"], case["responder"]
    if not initiator:
        own, peer = peer, own
    pattern = n.Pattern(case["pattern"])
    knows = initiator and pattern in (n.Pattern.IK, n.Pattern.IKPSK2)
    static, ephemeral, remote = (
        KeyPair(bytes.fromhex(key)) for key in (own["static"], own["ephemeral"], peer["static"])
    )
    psk = None if case["psk"] is None else bytes.fromhex(case["psk"])
    secrets = n.Secrets(static, ephemeral, remote.public if knows else None, psk)
    return n.Handshake(pattern, initiator, secrets, bytes.fromhex(case["prologue"]))


def batch(size: int) -> bytes:
    """The batch of this size: its bytes count to 250 again and again."""
    return bytes(number % 251 for number in range(size))


def vectors(published: list[Json], sources: Json) -> Json:
    """The content of noise.json."""
    return {
        "sources": sources,
        "published": published,
        "ours": [_ours(pattern) for pattern in n.Pattern],
        "sealed": _sealed(),
        "codes": {
            "made": [{"random": random.hex(), "code": p.pairing_code(random)} for random in CODES],
            "read": [
                {"text": text, "code": p.normalised(text), "psk": p.pairing_psk(text).hex()}
                for text in TYPED
            ],
            "refused": REFUSED,
        },
    }


def _ours(pattern: n.Pattern) -> Json:
    case: Json = {
        "name": f"{pattern.name} of the mesh protocol",
        "pattern": pattern.value,
        "prologue": n.prologue(pattern).hex(),
        "psk": PSK if pattern in SECRET else None,
        **KEYS,
        "handshake": [],
        "transport": [],
    }
    ends = [side(case, initiator=True), side(case, initiator=False)]
    while not ends[0].done:
        turn = len(case["handshake"]) % 2
        message = ends[turn].write()
        ends[1 - turn].read(message)
        case["handshake"].append({"payload": "", "message": message.hex()})
    case["hash"] = ends[0].handshake_hash.hex()
    transports = [end.split() for end in ends]
    for turn, said in enumerate((b"one", b"two", b"three", b"four")):
        sealed = transports[turn % 2].seal(said)
        entry = {"initiator": turn % 2 == 0, "batch": said.hex(), "message": sealed.hex()}
        case["transport"].append(entry)
    return case


def _sealed() -> list[Json]:
    """One after the other by the initiator after the first handshake of ours."""
    case = _ours(n.Pattern.IK)
    initiator, responder = side(case, initiator=True), side(case, initiator=False)
    responder.read(initiator.write())
    initiator.read(responder.write())
    transport = initiator.split()
    sealed = []
    for size in BATCH_BYTES:
        message = transport.seal(batch(size))
        entry = {"batch_bytes": size, "message_bytes": len(message)}
        sealed.append(entry | {"sha256": sha256(message).hexdigest()})
    return sealed


def main() -> None:
    """Write the file."""
    stored = json.loads(VECTORS.read_text())
    made = vectors(stored["published"], stored["sources"])
    VECTORS.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
