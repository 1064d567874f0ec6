"""Writes tests/vectors/tickets.json and its examples in docs/protocol.md.

Run as ``python -m tests.vectors.make_tickets``; a test fails when either is not current.
"""

import json
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.core import cbor
from gateway.core.certificates import Certificate, certify, store_hint, store_id
from gateway.core.cose import pair, sign_claims
from gateway.core.primitives import public_of, sign
from gateway.core.recovery import recovery_code
from gateway.core.revocations import Kind, Revocation, revoke
from gateway.core.tickets import Ticket, issue
from gateway.core.tokens import issue_token

HERE = Path(__file__).parent
VECTORS = HERE / "tickets.json"
PAGE = HERE.parent.parent / "docs" / "protocol.md"
BEGIN, END = "<!-- tickets:begin -->\n", "<!-- tickets:end -->"

# The order of Ed25519's group (RFC 8032 section 5.1).
ORDER = 2**252 + 27742317777372353535851937790883648493


def secret(name: str, length: int = 32) -> bytes:
    """Bytes that follow from a name: keys and ids of the examples."""
    return sha256(name.encode()).digest()[:length]


ROOT, OTHER_ROOT = secret("root"), secret("another root")
GATEWAY, OTHER_GATEWAY = secret("gateway"), secret("another gateway")
NOISE, TABLET = secret("gateway noise"), secret("tablet noise")
ROOT_PUBLIC = public_of(ROOT)
STORE = store_id(ROOT_PUBLIC)

CERTIFICATE = Certificate(
    STORE, secret("gateway peer", 16), public_of(GATEWAY), NOISE, secret("serial", 8), 1
)
SIGNED_CERTIFICATE = certify(ROOT, CERTIFICATE)
TICKET = Ticket(
    store=STORE,
    noise_key=TABLET,
    peer=secret("tablet peer", 16),
    role="kiosk",
    grants=(("orders", 3), ("menu", 1), ("tables", 3), ("settings", 1)),
    epoch=7,
    id=secret("ticket", 16),
    issuer=CERTIFICATE.serial,
)
SIGNED_TICKET = issue(GATEWAY, TICKET)
CREDENTIAL = pair(SIGNED_TICKET, SIGNED_CERTIFICATE)
TOKEN = issue_token(GATEWAY, TICKET)
LOST = Revocation(STORE, Kind.PEER, TICKET.peer, 8, CERTIFICATE.serial)
LEAKED = Revocation(STORE, Kind.TICKET, TICKET.id, 7, CERTIFICATE.serial)
STOLEN = Revocation(STORE, Kind.CERTIFICATE, CERTIFICATE.serial, 2, b"")
REVOCATIONS = [
    ("a lost tablet: all its tickets below epoch 8", revoke(GATEWAY, LOST, SIGNED_CERTIFICATE)),
    ("one ticket", revoke(GATEWAY, LEAKED, SIGNED_CERTIFICATE)),
    ("a stolen gateway, by the root", revoke(ROOT, STOLEN, b"")),
]
PARSED = [LOST, LEAKED, STOLEN]


# Not CBOR, or not in deterministic encoding, or not of a kind that is used.
REFUSED_CBOR = {
    "nothing": "",
    "a number in two bytes": "1817",
    "a number in three bytes": "1900ff",
    "a number in five bytes": "1a0000ffff",
    "a number in nine bytes": "1b00000000ffffffff",
    "a number above 2^53-1": "1b0020000000000000",
    "a number of 64 bits": "1bffffffffffffffff",
    "a negative number in two bytes": "3817",
    "a number cut off": "19ff",
    "a length in two bytes": "580161",
    "bytes cut off": "4261",
    "a text cut off": "6261",
    "a count cut off": "8201",
    "a map cut off": "a101",
    "a text that is not UTF-8": "62c328",
    "half a character": "63eda080",
    "bytes after the end": "0000",
    "indefinite bytes": "5f4101ff",
    "an indefinite text": "7f6161ff",
    "an indefinite array": "9f01ff",
    "an indefinite map": "bf0101ff",
    "a reserved length": "1c",
    "a break": "ff",
    "a tag": "c001",
    "shared values": "d81c81d81d00",
    "a bignum": "c249010000000000000000",
    "false": "f4",
    "null": "f6",
    "a simple value": "f8ff",
    "a half float": "f93c00",
    "a double": "fb3ff0000000000000",
    "a key twice": "a201010102",
    "keys out of order": "a202010101",
    "negative before positive": "a220010101",
    "a text as a key": "a1616101",
    "bytes as a key": "a1416101",
    "an array as a key": "a18001",
    "a negative key twice": "a220012001",
}


def plain(value: Any) -> dict[str, Any]:
    """A dataclass as JSON, bytes in hex."""
    return {
        name: one.hex() if isinstance(one, bytes) else one for name, one in asdict(value).items()
    }


def _claims(**changes: Any) -> dict[int, Any]:
    names = ("version", "store", "peer", "signing_key", "noise_key", "serial", "epoch")
    values = {"version": 1, **asdict(CERTIFICATE), **changes}
    return {number: values[name] for number, name in enumerate(names)}


def _certified(root: bytes = ROOT, **changes: Any) -> bytes:
    return sign_claims(root, b"store-gateway certificate", _claims(**changes))


def _parts(payload: bytes, context: bytes = b"store-gateway certificate") -> tuple[bytes, bytes]:
    """Protected header and signature of a payload, by the root."""
    protected = cbor.encode({1: -8})
    return protected, sign(ROOT, cbor.encode(["Signature1", protected, context, payload]))


def _around(payload: bytes) -> bytes:
    """A payload that no encoder of ours writes, rightly signed by the root."""
    protected, signature = _parts(payload)
    return cbor.encode([protected, {}, payload, signature])


def _malleable(signed: bytes) -> bytes:
    """The same signature with the order of the group added to its second half."""
    scalar = int.from_bytes(signed[-32:], "little") + ORDER
    return signed[:-32] + scalar.to_bytes(32, "little")


def _refused() -> list[tuple[str, bytes, str]]:
    good, payload = SIGNED_CERTIFICATE, cbor.encode(_claims())
    protected, signature = _parts(payload)
    low_order = bytes(32)
    return [
        ("empty", b"", "malformed"),
        ("cut off", good[:-1], "malformed"),
        ("a byte more", good + b"\x00", "malformed"),
        ("tagged", b"\xd2" + good, "malformed"),
        ("an indefinite array", b"\x9f" + good[1:] + b"\xff", "malformed"),
        ("a length in more bytes than needed", b"\x98\x04" + good[1:], "malformed"),
        ("four billion values", bytes.fromhex("9affffffff"), "malformed"),
        ("nested arrays", b"\x81" * 3_000, "malformed"),
        ("another algorithm", cbor.encode([cbor.encode({1: -7}), {}, payload, signature]),
         "malformed"),
        ("an unprotected header", cbor.encode([protected, {4: b"1"}, payload, signature]),
         "malformed"),
        ("a short signature", cbor.encode([protected, {}, payload, signature[:-1]]), "malformed"),
        ("no payload", cbor.encode([protected, {}, b"", signature]), "malformed"),
        ("a claim twice", _around(b"\xa8" + payload[1:] + payload[-2:]), "malformed"),
        ("claims out of order", _around(b"\xa7" + payload[-2:] + payload[1:-2]), "malformed"),
        ("a number in more bytes than needed", _around(payload[:-1] + b"\x18\x01"), "malformed"),
        ("a claim missing", _around(b"\xa6" + payload[1:-2]), "malformed"),
        ("an unknown claim", _around(b"\xa8" + payload[1:] + b"\x07\x01"), "malformed"),
        ("a key of 31 bytes", _certified(noise_key=NOISE[:31]), "malformed"),
        ("an epoch below zero", _certified(epoch=-1), "malformed"),
        ("an epoch above 32 bits", _certified(epoch=2**32), "malformed"),
        ("a later version of the form", _certified(version=2), "version"),
        ("another store", certify(OTHER_ROOT, replace(
            CERTIFICATE, store=store_id(public_of(OTHER_ROOT)))), "other-store"),
        ("signed by another root", certify(OTHER_ROOT, CERTIFICATE), "unauthorised"),
        ("signed by itself", certify(GATEWAY, CERTIFICATE), "unauthorised"),
        ("signed as a ticket", sign_claims(ROOT, b"store-gateway ticket", _claims()),
         "unauthorised"),
        ("a ticket", SIGNED_TICKET, "malformed"),
        ("a malleable signature", _malleable(good), "unauthorised"),
        ("a signature of nothing", cbor.encode([protected, {}, payload, low_order * 2]),
         "unauthorised"),
    ]  # fmt: skip


def vectors() -> dict[str, Any]:
    """The content of tickets.json."""
    certificate = {"hex": SIGNED_CERTIFICATE.hex(), "claims": plain(CERTIFICATE)}
    ticket = {"hex": SIGNED_TICKET.hex(), "claims": plain(TICKET)}
    return {
        "store": {
            "root_private": ROOT.hex(),
            "root_public": ROOT_PUBLIC.hex(),
            "recovery_code": recovery_code(ROOT),
            "store": STORE.hex(),
            "hint": store_hint(STORE).hex(),
        },
        "gateway_private": GATEWAY.hex(),
        "certificate": certificate,
        "ticket": ticket,
        "credential": {"hex": CREDENTIAL.hex()},
        "token": TOKEN,
        "revocations": [
            {"name": name, "hex": entry.hex(), "claims": plain(parsed)}
            for (name, entry), parsed in zip(REVOCATIONS, PARSED, strict=True)
        ],
        "refused_certificates": [
            {"name": name, "hex": data.hex(), "code": code} for name, data, code in _refused()
        ],
        "refused_cbor": [{"name": name, "hex": data} for name, data in REFUSED_CBOR.items()],
        # As a root key each of these would let a signature of nothing pass.
        "refused_roots": [bytes(32).hex(), (b"\x01" + bytes(31)).hex()],
    }


def page_section() -> str:
    """The examples as they stand in docs/protocol.md."""
    made = vectors()
    rows: list[tuple[str, str, Any]] = [
        ("a store: its root key, id and hint, and its recovery code", "", made["store"]),
        ("a gateway's certificate", made["certificate"]["hex"], made["certificate"]["claims"]),
        ("a ticket", made["ticket"]["hex"], made["ticket"]["claims"]),
        ("the credential of both", made["credential"]["hex"], ""),
        ("the same rights as a token", made["token"], ""),
        *((f"revoked: {row['name']}", row["hex"], row["claims"]) for row in made["revocations"]),
    ]
    return "".join(
        f"- {name}\n"
        + (f"  `{data}`\n" if data else "")
        + (f"  `{json.dumps(claims)}`\n" if claims else "")
        for name, data, claims in rows
    )


def main() -> None:
    """Write both files."""
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + page_section() + END + after)


if __name__ == "__main__":
    main()
