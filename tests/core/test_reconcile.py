"""Set reconciliation: both sides know all that differs, in few bytes, whatever a peer sends."""

import json
import random
import time
from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import messages as m
from gateway.core import reconcile as r
from gateway.core.errors import Code, PeerError
from gateway.core.framing import frame
from gateway.core.varint import write_bytes, write_string, write_varint
from tests.vectors import make_reconcile as made

SALT = made.SALT
STORED = json.loads(made.VECTORS.read_text())
Documents = dict[str, bytes]


def state(value: object) -> bytes:
    return sha256(str(value).encode()).digest()[:16]


def orders(count: int) -> Documents:
    return {f"orders/2026-11-{1 + n // 500:02d}-{n % 500:06d}": state(n) for n in range(count)}


def scattered(count: int, seed: int = 0, digits: int = 20) -> Documents:
    source = random.Random(seed)
    return {f"orders/{source.getrandbits(4 * digits):0{digits}x}": state(n) for n in range(count)}


def differing(one: Documents, other: Documents) -> set[str]:
    return {name for name, _ in one.items() ^ other.items()}


def exchange(
    one: r.Catalogue, other: r.Catalogue, max_bytes: int = r.MAX_PAYLOAD_BYTES
) -> tuple[list[bytes], list[set[str]]]:
    """All payloads in turn, and what each side found to differ."""
    sides = (one, other)
    payloads = [r.opening(one, SALT)]
    found: list[set[str]] = [set(), set()]
    over = False
    while True:
        side = len(payloads) % 2
        result = r.answer(sides[side], payloads[-1], max_bytes)
        found[side].update(result.differing)
        if result.reply is None:
            assert over and result.finished
            return payloads, found
        over = result.finished
        assert len(result.reply) <= max_bytes
        payloads.append(result.reply)
        assert len(payloads) <= 2 * r.most_turns(max_bytes)


def record_bytes(payloads: list[bytes]) -> int:
    return sum(len(frame(m.encode(m.Reconcile(0, payload)))) for payload in payloads)


def changed(documents: Documents, kind: str, seed: int) -> Documents:
    """The same documents but three: changed or missing."""
    other = dict(documents)
    for name in random.Random(seed).sample(sorted(documents), 3):
        del other[name]
        if kind == "changed":
            other[name] = state(name)
    return other


@pytest.mark.parametrize("kind", ["changed", "missing here", "missing there"])
@pytest.mark.parametrize("make", [orders, scattered])
def test_three_of_ten_thousand_in_2_kb_and_three_round_trips(
    make: Callable[[int], Documents], kind: str
) -> None:
    documents = make(10_000)
    for seed in range(8):
        other = changed(documents, kind, seed)
        sides = [r.Catalogue(documents.items()), r.Catalogue(other.items())]
        if kind == "missing here":
            sides.reverse()
        payloads, found = exchange(sides[0], sides[1])
        assert found == [differing(documents, other)] * 2
        assert len(payloads) <= 6
        assert record_bytes(payloads) <= 2_000


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_equal_sets_cost_one_small_record_and_a_nod(count: int) -> None:
    payloads, found = exchange(
        r.Catalogue(orders(count).items()), r.Catalogue(orders(count).items())
    )
    assert found == [set(), set()]
    assert [record_bytes([payload]) for payload in payloads] == [21 if count else 14, 11]


def test_a_day_of_new_orders_costs_little_more_than_their_names() -> None:
    documents = orders(10_000)
    older = dict(sorted(documents.items())[:-300])
    payloads, found = exchange(r.Catalogue(documents.items()), r.Catalogue(older.items()))
    assert found == [differing(documents, older)] * 2
    assert record_bytes(payloads) < 300 * 12 + 2_000


@pytest.mark.parametrize("case", STORED, ids=lambda case: case["name"])
def test_stored_exchanges(case: dict) -> None:
    sides = [
        r.Catalogue((name, bytes.fromhex(value)) for name, value in side.items())
        for side in case["sides"]
    ]
    payloads, found = exchange(sides[0], sides[1])
    assert [payload.hex() for payload in payloads] == case["payloads"]
    assert found == [set(case["differing"])] * 2


def test_vectors_are_current() -> None:
    assert json.loads(json.dumps(made.vectors())) == STORED


NAMES = st.one_of(
    st.integers(0, 400).map(lambda n: f"orders/{n:03d}"),
    st.text("aé\U0001f600\uff5e/", min_size=1, max_size=3).map(lambda text: f"a/{text}b"),
)
SETS = st.dictionaries(NAMES.filter(lambda name: "//" not in name), st.integers(0, 2).map(state))


@settings(max_examples=300, derandomize=True, deadline=None)
@given(SETS, SETS, SETS, st.booleans())
def test_any_two_sets(common: Documents, one: Documents, other: Documents, small: bool) -> None:
    one, other = common | one, common | other
    max_bytes = r.MIN_PAYLOAD_BYTES if small else r.MAX_PAYLOAD_BYTES
    _, found = exchange(r.Catalogue(one.items()), r.Catalogue(other.items()), max_bytes)
    assert found == [differing(one, other)] * 2


@pytest.mark.parametrize("max_bytes", [r.MIN_PAYLOAD_BYTES, 65_536, r.MAX_PAYLOAD_BYTES])
@pytest.mark.parametrize("kind", ["disjoint", "all changed", "empty"])
def test_what_does_not_fit_is_asked_again(kind: str, max_bytes: int) -> None:
    one = scattered(3_000, seed=1, digits=193 if max_bytes > 65_536 else 60)
    other = {
        "disjoint": scattered(3_000, seed=2, digits=60),
        "all changed": {name: state(name) for name in one},
        "empty": {},
    }[kind]
    payloads, found = exchange(r.Catalogue(one.items()), r.Catalogue(other.items()), max_bytes)
    assert found == [differing(one, other)] * 2
    assert len(payloads) > 4


def test_texts_are_counted_too() -> None:
    one = {f"a/{n:05d}": state(n) for n in range(r.MAX_TEXTS + 100)}
    payloads, found = exchange(r.Catalogue(), r.Catalogue(one.items()))
    assert found == [set(one)] * 2
    assert max(map(len, payloads)) < r.MAX_PAYLOAD_BYTES // 2


def test_a_catalogue_that_changes_between_turns() -> None:
    one, other = r.Catalogue(orders(2_000).items()), r.Catalogue(orders(1_990).items())
    payload: bytes | None = r.opening(one, SALT)
    for turn, side in enumerate([other, one] * 8):
        assert payload is not None
        payload = r.answer(side, payload).reply
        side.set(f"orders/2026-11-02-{turn:06d}x", state(turn))
        side.remove(f"orders/2026-11-01-{turn:06d}")
        if payload is None:
            break
    assert payload is None


@pytest.mark.parametrize("max_bytes", [r.MIN_PAYLOAD_BYTES - 1, r.MAX_PAYLOAD_BYTES + 1])
def test_a_limit_that_cannot_be_kept_is_our_mistake(max_bytes: int) -> None:
    with pytest.raises(ValueError, match="is not 8192 to"):
        r.answer(r.Catalogue(), SALT, max_bytes)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 3)), max_size=60))
def test_digests_follow_changes(changes: list[tuple[int, int]]) -> None:
    documents = {f"a/{n:04d}": state(n) for n in range(0, 3_000, 3)}
    catalogue = r.Catalogue(documents.items())
    openers = [n for n in range(3_000) if sha256(f"a/{n:04d}".encode()).digest()[0] == 0]
    for number, value in [
        *changes,
        *((opener, number % 3) for number, opener in enumerate(openers)),
    ]:
        name = f"a/{number:04d}"
        if value:
            documents[name] = state(value)
            catalogue.set(name, state(value))
        else:
            documents.pop(name, None)
            catalogue.remove(name)
        fresh = r.Catalogue(documents.items())
        assert len(catalogue) == len(documents)
        assert r.opening(catalogue, SALT) == r.opening(fresh, SALT)


def test_the_digest_is_what_the_page_says() -> None:
    documents = sorted(orders(1_500).items())
    blocks: list[bytes] = []
    for name, fingerprint in documents:
        if not blocks or sha256(name.encode()).digest()[0] == 0:
            blocks.append(b"")
        blocks[-1] += write_string(name) + fingerprint
    assert len(blocks) > 3
    digest = sha256(SALT + b"".join(sha256(block).digest() for block in blocks)).digest()[:8]
    assert r.opening(r.Catalogue(documents), SALT) == SALT + b"\x00\x01" + digest


def test_another_salt_gives_another_digest() -> None:
    catalogue = r.Catalogue(orders(10).items())
    assert r.opening(catalogue, SALT)[8:] != r.opening(catalogue, bytes(8))[8:]


def test_our_mistakes() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        r.Catalogue().set("a/b", b"short")
    with pytest.raises(ValueError, match="8 bytes"):
        r.opening(r.Catalogue(), b"short")


@pytest.mark.timing
def test_a_hundred_thousand_documents() -> None:
    documents = orders(100_000)
    start = time.perf_counter()
    catalogue = r.Catalogue(documents.items())
    r.opening(catalogue, SALT)
    built = time.perf_counter()
    for name in random.Random(1).sample(sorted(documents), 10_000):
        catalogue.set(name, bytes(16))
    updated = time.perf_counter()
    assert built - start < 1.0
    assert (updated - built) / 10_000 < 50e-6


def text(value: bytes, kept: int = 0) -> bytes:
    return write_bytes(value) + write_varint(kept)


def named(mode: int, *names: bytes, upper: bytes = b"\x00") -> bytes:
    after = bytes(8) if mode == r.LIST else b""
    body = b"".join(text(name) + after for name in names)
    return SALT + upper + write_varint(mode) + write_varint(len(names)) + body


MALFORMED = {
    "no salt": b"",
    "a salt cut off": SALT[:7],
    "too long": SALT + bytes(r.MAX_PAYLOAD_BYTES),
    "an unknown mode": SALT + b"\x00\x04",
    "a mode cut off": SALT + b"\x00",
    "a digest cut off": SALT + b"\x00\x01" + bytes(7),
    "a range after the last": SALT + b"\x00\x00" * 2,
    "bounds that do not ascend": SALT + (text(b"b") + b"\x00") * 2,
    "more kept than there is": SALT + text(b"b", kept=1) + b"\x00",
    "a bound too long": SALT + text(b"b" * 201) + b"\x00",
    "a bound too long with what is kept": SALT
    + text(b"b" * 100)
    + b"\x00"
    + text(b"c" * 101, 100)
    + b"\x00",
    "names that do not ascend": named(r.LIST, b"a/c", b"a/b"),
    "a name twice": named(r.DIFFER, b"a/b", b"a/b"),
    "a name above its range": named(r.DIFFER, b"a/b", upper=text(b"a/b")),
    "a name below its range": SALT + text(b"b") + b"\x00" + named(r.LIST, b"a/b")[8:],
    "an empty name": SALT + b"\x00\x03\x01\x00",
    "a name that is not UTF-8": named(r.DIFFER, b"a/\xff"),
    "fewer names than counted": SALT + b"\x00\x03\xff\xff\xff\xff\x0f" + text(b"a/b"),
    "a list cut off": named(r.LIST, b"a/b")[:-1],
    "too many names": named(r.DIFFER, *(b"a/%05d" % n for n in range(r.MAX_TEXTS))),
}


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED)
def test_malformed(payload: bytes) -> None:
    with pytest.raises(PeerError) as caught:
        r.answer(r.Catalogue(orders(10).items()), payload)
    assert caught.value.code is Code.MALFORMED


def test_noise_is_refused_or_answered() -> None:
    source = random.Random(4)
    one, other = r.Catalogue(orders(900).items()), r.Catalogue(changed(orders(900), "", 1).items())
    payloads, _ = exchange(one, other)
    codes: list[Code] = []
    for _ in range(3_000):
        payload = bytearray(source.choice(payloads))
        for _ in range(source.randint(1, 3)):
            payload[source.randrange(len(payload))] = source.getrandbits(8)
        try:
            r.answer(one, bytes(payload))
        except PeerError as error:
            codes.append(error.code)
    assert set(codes) == {Code.MALFORMED}
    assert 100 < len(codes) < 2_900


def test_names_that_are_no_documents_here_are_passed_over() -> None:
    assert r.answer(r.Catalogue(), named(r.DIFFER, b"a/b", b"a/b\n", b"b")).differing == ("a/b",)
    assert r.answer(r.Catalogue(), named(r.LIST, b"a/b", b"a/b\n")).differing == ("a/b",)


def test_nothing_asked_is_not_answered() -> None:
    for payload in (SALT, SALT + b"\x00\x00", named(r.DIFFER)):
        assert r.answer(r.Catalogue(), payload) == r.Answer(None, (), True)


def test_a_skipped_range_is_not_looked_at() -> None:
    payload = SALT + text(b"orders/2026-11-01-000009") + b"\x00" + b"\x00\x02\x00"
    found = r.answer(r.Catalogue(orders(12).items()), payload)
    assert found.differing == tuple(sorted(orders(12))[9:])
    assert found.reply is not None and found.finished


@pytest.mark.timing
@pytest.mark.parametrize("kind", ["digests", "an empty list", "empty lists", "names"])
def test_costly_payloads(kind: str) -> None:
    names = sorted(orders(20_000))
    catalogue = r.Catalogue(orders(20_000).items())
    bounds = [text(name.encode()) for name in names[:: 20_000 // 8_000]][:8_000]
    payload = (
        SALT
        + {
            "digests": b"".join(bound + b"\x01" + bytes(8) for bound in bounds[:7_000]),
            "an empty list": b"\x00\x02\x00",
            "empty lists": b"".join(bound + b"\x02\x00" for bound in bounds),
            "names": named(r.LIST, *(name.encode() for name in names[:7_000]))[8:],
        }[kind]
    )
    start = time.perf_counter()
    found = r.answer(catalogue, payload)
    assert time.perf_counter() - start < 1.0
    assert found.reply is not None and len(found.reply) <= r.MAX_PAYLOAD_BYTES
