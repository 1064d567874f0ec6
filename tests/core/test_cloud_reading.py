"""A message of a gateway: who sent it, and what of it is taken."""

import random

import pytest

from gateway.core.bridge import Message
from gateway.core.bridge_items import (
    Answer,
    Ask,
    Change,
    Item,
    Ping,
    Pong,
    Revoked,
    Turn,
    Wants,
    read,
    written,
)
from gateway.core.cloud_reading import MAX_KEPT_REFUSALS, contents, read_letter, store_named
from gateway.core.cloud_records import CloudChange
from gateway.core.cloud_shares import EVERY, Share, Shares
from gateway.core.errors import Code, PeerError
from gateway.core.limits import Limits
from tests.support.cloud import ROOT, HandGateway

GATEWAY, OTHER = HandGateway(1), HandGateway(2)
STRANGER = HandGateway(1, b"x" * 32)
STORE, PEER = GATEWAY.store.hex(), GATEWAY.peer.hex()
CHANGE = GATEWAY.put("orders/1", total=1)
NONE = Shares()


def said(*items: Item) -> Message:
    (message,) = GATEWAY.say(*items)
    return message


def test_the_sender_is_known() -> None:
    message = said(Ping(7), CHANGE)
    letter = read_letter(ROOT, message.topic, message.payload)
    assert (letter.store, letter.peer) == (STORE, PEER)
    assert letter.root == GATEWAY.root_public and letter.certificate.peer == GATEWAY.peer
    assert read(letter.batch) == [Ping(7), CHANGE]


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        (f"{ROOT}/x/up/y", b"", Code.MALFORMED),
        (f"other/{STORE}/up/{PEER}", b"", Code.MALFORMED),
        (f"{STORE}/up/{PEER}", b"", Code.MALFORMED),
        (f"{ROOT}/{STORE}/up/{PEER}/more", b"", Code.MALFORMED),
        (f"{ROOT}/{STORE.upper()}/up/{PEER}", b"", Code.MALFORMED),
        (GATEWAY.topics.up, b"junk", Code.MALFORMED),
        (GATEWAY.topics.up, bytes(262_145), Code.TOO_BIG),
        (GATEWAY.topics.up, OTHER.sealed(b"\x01\x01"), Code.UNAUTHORISED),
        (GATEWAY.topics.up, STRANGER.sealed(b"\x01\x01"), Code.OTHER_STORE),
        (STRANGER.topics.up, GATEWAY.sealed(b"\x01\x01"), Code.OTHER_STORE),
        (GATEWAY.topics.up, said(CHANGE).payload[:-1] + b"?", Code.UNAUTHORISED),
    ],
)
def test_a_message_that_is_wrong(topic: str, payload: bytes, code: Code) -> None:
    with pytest.raises(PeerError) as error:
        read_letter(ROOT, topic, payload)
    assert error.value.code is code


def test_the_store_in_a_topic() -> None:
    assert store_named(ROOT, GATEWAY.topics.up) == STORE
    assert store_named(ROOT, GATEWAY.topics.down) == store_named(ROOT, "") == ""


@pytest.mark.parametrize("batch", [b"", b"\xff\x01"])
def test_a_batch_that_is_wrong(batch: bytes) -> None:
    letter = read_letter(ROOT, GATEWAY.topics.up, GATEWAY.sealed(batch))
    with pytest.raises(PeerError) as error:
        contents(letter, NONE)
    assert error.value.code is Code.MALFORMED


def sorted_out(*items: Item, shares: Shares = NONE, limits: Limits | None = None):  # type: ignore[no-untyped-def]
    ((batch, _),) = written(items)
    letter = read_letter(ROOT, GATEWAY.topics.up, GATEWAY.sealed(batch))
    return contents(letter, shares, *([limits] if limits else []))


def test_what_is_in_a_message() -> None:
    found = sorted_out(
        CHANGE, Ask("orders/2", b"\0"), Ask("orders/2", b"\1\5\1"), Turn(b"ranges"),
        Wants(("menu",)), Ping(3), Pong(4), Answer("a/b", b"", b""), Revoked(b"entry"),
        Change("orders/3", b"\0\0"),
    )  # fmt: skip
    assert found.changes == [CloudChange(STORE, "orders/1", CHANGE.update, PEER)]
    assert (found.refusals, found.refused) == ([], 0)
    assert found.asks == {"orders/2": b"\1\5\1"}
    assert (found.turn, found.wants, found.pings) == (b"ranges", ("menu",), [3])
    assert found.revoked == [b"entry"]


def test_a_deletion_alone_is_a_change() -> None:
    assert len(sorted_out(Change("orders/1", b"\0\1\5\1\0\1")).changes) == 1


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ((Turn(b""), Turn(b"")), Code.TOO_MANY),
        ((CHANGE, Ask("orders/1", b"\5")), Code.MALFORMED),
    ],
)
def test_what_makes_all_of_it_wrong(items: tuple[Item, ...], code: Code) -> None:
    with pytest.raises(PeerError) as error:
        sorted_out(*items)
    assert error.value.code is code


def test_a_change_that_is_wrong_is_refused_alone() -> None:
    found = sorted_out(Change("orders/1", b"junk"), CHANGE)
    assert len(found.changes) == 1
    (refusal,) = found.refusals
    assert (refusal.space, refusal.document, refusal.update) == (STORE, "orders/1", b"junk")
    assert (refusal.peer, refusal.code, found.refused) == (PEER, Code.MALFORMED, 1)


def test_what_is_shared_is_written_by_its_writers() -> None:
    shares = Shares([Share("menu", ("menu",), (EVERY,), ("d" * 32,))])
    found = sorted_out(Change("menu/1", CHANGE.update), shares=shares)
    assert [(one.space, one.code) for one in found.refusals] == [("share:menu", Code.FORBIDDEN)]
    shares = Shares([Share("menu", ("menu",), (EVERY,), (STORE,))])
    assert sorted_out(Change("menu/1", CHANGE.update), shares=shares).changes[0].space == (
        "share:menu"
    )


def test_of_many_refusals_some_are_kept() -> None:
    found = sorted_out(*[Change("orders/1", b"junk")] * 100)
    assert (len(found.refusals), found.refused) == (MAX_KEPT_REFUSALS, 100)


def test_the_limits_are_those_of_a_link() -> None:
    found = sorted_out(CHANGE, limits=Limits(message_bytes=3))
    assert [one.code for one in found.refusals] == [Code.TOO_BIG]


def test_whatever_is_in_a_message_it_is_taken_or_refused() -> None:
    """A gateway that was taken over signs what it likes."""
    chance = random.Random(1)
    items: list[Item] = [
        Ping(1),
        Wants(("orders",)),
        CHANGE,
        GATEWAY.opening(),
        Ask("orders/1", b"\1\5\1"),
    ]
    ((batch, _),) = written(items)
    taken = 0
    for _ in range(2_000):
        mutant = bytearray(batch)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(mutant))
            mutant[place : place + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 2))
        try:
            letter = read_letter(ROOT, GATEWAY.topics.up, GATEWAY.sealed(bytes(mutant)))
            contents(letter, NONE)
            taken += 1
        except PeerError:
            pass
    assert 0 < taken < 2_000
