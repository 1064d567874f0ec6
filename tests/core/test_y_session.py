"""The plain y-websocket session."""

from collections.abc import Iterable

import pytest

from gateway.core import y_messages as y
from gateway.core.errors import Code, PeerError
from gateway.core.events import (
    DocumentEntered,
    DocumentOpened,
    PresenceAsked,
    PresenceReceived,
    UpdateReceived,
)
from gateway.core.framing import MESSAGE_BYTES
from gateway.core.outbox import MAX_QUEUED_BYTES, Answer, Relay
from gateway.core.session import Progress, Standing, State
from gateway.core.y_session import KEEP_ALIVE_SECONDS, YSession
from tests.core.stores import gateway

EMPTY = b"\x00\x00"


def session() -> YSession:
    return YSession("orders/1", "192.0.2.7:5000", 0.0)


class Echo:
    """``Documents`` that says what it was asked."""

    def answer(self, document: str, state_vector: bytes, limit: int) -> Answer:
        return Answer((b"answer to " + state_vector,), b"")

    def presence(self, document: str, clients: Iterable[int] | None) -> list[bytes]:
        return [b"all" if clients is None else bytes(sorted(clients))]


answer = Echo()


def test_events() -> None:
    peer = session()
    assert peer.first_events() == (DocumentEntered("orders/1"),)
    assert peer.identity == "192.0.2.7"
    assert peer.receive(y.step_1(b"\x00")) == (DocumentOpened("orders/1", b"\x00"),)
    assert peer.receive(y.step_2(EMPTY)) == (
        UpdateReceived("orders/1", EMPTY, 1, answer=True, more=False),
    )
    assert peer.receive(y.update(EMPTY)) == (
        UpdateReceived("orders/1", EMPTY, 2, answer=False, more=False),
    )
    assert peer.receive(y.presence(b"\x00")) == (PresenceReceived("orders/1", b"\x00"),)
    assert peer.receive(b"\x03") == (PresenceAsked("orders/1"),)
    assert peer.receive(b"\x02\x00") == ()
    assert peer.unsaved == 2
    peer.acknowledge(1)
    peer.acknowledge(2)
    assert peer.unsaved == 0


def test_it_asks_once_until_answered() -> None:
    peer = session()
    peer.ask("orders/1", b"\x00")
    peer.ask("orders/1", b"\x00")
    assert peer.data_to_send(answer) == [y.step_1(b"\x00")]
    peer.receive(y.step_2(EMPTY))
    peer.ask("orders/1", b"\x00")
    assert peer.data_to_send(answer) == [y.step_1(b"\x00")]


def test_output_order_is_records_answer_live() -> None:
    peer = session()
    peer.outbox.owe("orders/1", b"\x00")
    peer.offer_presence("orders/1", None)
    assert peer.data_to_send(answer) == [y.step_2(b"answer to \x00"), y.presence(b"all")]
    peer.released("orders/1")
    peer.offer("orders/1", Relay(EMPTY))
    assert peer.data_to_send(answer) == [y.update(EMPTY)]
    assert peer.data_to_send(answer) == []
    assert peer.may_write("orders/1")


def test_malformed_closes_with_a_code() -> None:
    peer = session()
    assert peer.receive(b"") == ()
    assert peer.state is State.CLOSED
    assert peer.farewell is not None and peer.farewell.code is Code.MALFORMED
    assert peer.receive(y.update(EMPTY)) == ()
    peer.offer("orders/1", Relay(EMPTY))
    peer.offer_presence("orders/1", None)
    peer.ask("orders/1", b"\x00")
    peer.close(Code.TOO_BIG, "later")
    assert peer.farewell.code is Code.MALFORMED
    assert peer.data_to_send(answer) == []
    assert not peer.tick(1000.0)


def test_a_refusal_closes() -> None:
    peer = session()
    peer.refuse("orders/1", 1, Code.QUOTA, "full")
    assert peer.farewell is not None and peer.farewell.code is Code.QUOTA


def test_a_reader_that_is_too_slow_is_reset() -> None:
    peer = session()
    # Content does not matter for the cap, so one large update stands for many.
    peer.offer("orders/1", Relay(bytes(MAX_QUEUED_BYTES + 1)))
    assert peer.farewell is not None and peer.farewell.code is Code.RESET


@pytest.mark.parametrize("echo", [True, False])
def test_an_idle_link_gets_a_sign_of_life(echo: bool) -> None:
    peer = session()
    if echo:
        peer.echo_presence("orders/1", [1])
        assert peer.data_to_send(answer) == [y.presence(b"\x01")]
    assert not peer.tick(KEEP_ALIVE_SECONDS - 1 if not echo else KEEP_ALIVE_SECONDS)
    assert peer.tick(2 * KEEP_ALIVE_SECONDS)
    assert peer.data_to_send(answer) == [b"\x01\x01\x00"]


def test_a_document_that_cannot_be_had_ends_the_link() -> None:
    peer = session()
    peer.deny("orders/1", Code.UNAVAILABLE, "not now")
    assert peer.farewell is not None and peer.farewell.code is Code.UNAVAILABLE


def test_it_speaks_about_one_document_and_compares_nothing() -> None:
    peer = session()
    assert peer.may_read("orders/1") and not peer.awaits("orders/1")
    peer.ask("orders/1", b"\x00")
    assert peer.awaits("orders/1")
    peer.subscribe(1, "orders", "")
    peer.reconcile(1, ours=True, payload=b"")
    assert peer.data_to_send(answer) == [y.step_1(b"\x00")]


def test_what_waits_for_a_link_without_acks_and_what_was_told() -> None:
    peer = session()
    peer.offer("orders/1", Relay(EMPTY))
    assert peer.progress("orders/1") == Progress(Standing.WAITS)
    peer.data_to_send(answer)
    assert peer.progress("orders/1") == Progress(Standing.TOLD)


def test_what_a_token_allows() -> None:
    hub = gateway(1)
    token = hub.of.token(bytes([9]) * 16, "menu board", (("menu", 1), ("orders", 3)), bytes(16))
    member = hub.of.admit_token(token)
    reader = YSession("menu/1", "192.0.2.7:5000", 0.0, member)
    assert reader.identity == member.peer.hex() and reader.may_read("menu/1")
    assert not reader.may_write("menu/1")
    assert YSession("orders/1", "", 0.0, member).may_write("orders/1")
    with pytest.raises(PeerError) as raised:
        YSession("staff/1", "", 0.0, member)
    assert raised.value.code is Code.FORBIDDEN
    reader.revoked([b"nothing of it is for a stock client"])
    assert not reader.outbox


def test_a_message_above_the_limit() -> None:
    peer = session()
    assert peer.receive(bytes(MESSAGE_BYTES + 1)) == ()
    assert peer.farewell is not None and peer.farewell.code is Code.TOO_BIG
