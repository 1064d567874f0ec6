"""The mesh session: states, handles, acks, limits, all against docs/protocol.md."""

import pytest

from gateway.core import allotment as allotment_module
from gateway.core import mesh_session as ms
from gateway.core import messages as m
from gateway.core.errors import Code, PeerError
from gateway.core.events import (
    ChangesDropped,
    Declined,
    Delivered,
    DocumentOpened,
    DocumentReleased,
    PeersHeard,
    PresenceReceived,
    Subscribed,
    Unsubscribed,
    UpdateReceived,
)
from gateway.core.framing import batches, frame, records
from gateway.core.handshake import LocalPeer
from gateway.core.mesh_session import MeshSession
from gateway.core.outbox import MAX_QUEUED_BYTES, Answer, Relay
from gateway.core.sending import (
    BEFORE_PEERS_BYTES,
    DIFF_OVERHEAD,
    PING_SECONDS,
    SILENCE_SECONDS,
    framed_peers,
)
from gateway.core.session import Progress, Standing, State
from gateway.core.split import split_update
from tests.core.edits import Author
from tests.core.sessions import Given

PEER = bytes(range(16))
EMPTY = b"\x00\x00"
HELLO = m.Hello(1, 1, PEER, 0, 262_144, (("app", "kiosk"),))
AUTH = m.Auth(0, b"")
EVERYTHING: m.Grants = (("*", 3),)


def admit(method: int, credential: bytes) -> m.Grants:
    if method != m.AUTH_NONE:
        raise PeerError(Code.UNAUTHORISED, "not known here")
    return EVERYTHING if not credential else (("menu", 1), ("orders", 3))


def fresh() -> MeshSession:
    return MeshSession(LocalPeer(bytes(16), m.FEATURE_SAVES, (("name", "g"),)), admit, "here", 0.0)


class Large(Given):
    """``Documents`` with an answer in parts, after which nothing lacks."""

    def __init__(self, parts: tuple[bytes, ...]) -> None:
        super().__init__(Answer(parts, b"", b"\x01\x01\x01"))

    def answer(self, document: str, state_vector: bytes, limit: int) -> Answer | None:
        if state_vector == b"\x00":
            return super().answer(document, state_vector, limit)
        return Answer((EMPTY,), bytes(16))


def say(session: MeshSession, *spoken: m.Record) -> list[object]:
    (message,) = batches((frame(m.encode(record)) for record in spoken), 1 << 20)
    return list(session.receive(message))


def hear(session: MeshSession, answer: Answer | None = None) -> list[m.Record | None]:
    documents = Given(answer or Answer((EMPTY,), bytes(16)), b"\x00")
    messages = session.data_to_send(documents)
    return [m.decode(record) for message in messages for record in records(message)]


def opened(credential: bytes = b"") -> MeshSession:
    session = fresh()
    say(session, HELLO, m.Auth(m.AUTH_NONE, credential))
    assert session.state is State.OPEN
    hear(session)
    return session


def code(session: MeshSession) -> Code:
    assert session.state is State.CLOSED and session.farewell is not None
    return session.farewell.code


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ([m.Ping(1)], Code.MALFORMED),
        ([HELLO, HELLO], Code.MALFORMED),
        ([HELLO, m.Update(1, EMPTY)], Code.MALFORMED),
        ([HELLO, m.Auth(1, b"x")], Code.UNAUTHORISED),
        ([m.Hello(1, 1, PEER, 0, 100)], Code.MALFORMED),
        ([HELLO, m.Auth(0, bytes(5_000))], Code.TOO_BIG),
        ([HELLO, m.Auth(0, b""), m.Update(1, EMPTY)], Code.MALFORMED),
        ([HELLO, m.Auth(0, b""), m.Open(0, "a/b", b"\x00")], Code.MALFORMED),
        ([HELLO, AUTH, m.Open(1, "a/b", b"\x00"), m.Open(1, "a/c", b"\x00")], Code.MALFORMED),
        ([HELLO, AUTH, m.Open(1, "a/b", b"\x00"), m.Open(2, "a/b", b"\x00")], Code.MALFORMED),
        ([HELLO, m.Auth(0, b""), m.Goodbye(1001, "bye")], Code.GOING_AWAY),
    ],
)  # fmt: skip
def test_what_a_state_does_not_take_closes(spoken: list[m.Record], expected: Code) -> None:
    session = fresh()
    say(session, *spoken)
    assert code(session) is expected
    assert session.receive(b"\x02\x05\x01") == ()


def test_garbage_closes() -> None:
    session = opened()
    assert session.receive(b"") == []
    assert code(session) is Code.MALFORMED


def test_unknown_records_are_skipped() -> None:
    session = opened()
    assert session.receive(b"\x03\x3f\x01\x02") == []
    assert say(session, m.Ack(3), m.Refuse(1, 1, "x")) == []
    assert say(session, m.Deny("a/b", 4403, "no")) == [Declined("a/b", 4403, "no")]
    assert session.state is State.OPEN


def calling() -> MeshSession:
    local = LocalPeer(bytes(16), m.FEATURE_RECONCILE, ())
    return MeshSession(local, (m.AUTH_NONE, b"secret"), "there", 0.0)


def test_what_a_peer_that_saves_has_taken_is_told() -> None:
    session = fresh()
    say(session, m.Hello(1, 1, PEER, m.FEATURE_SAVES, 262_144), AUTH)
    say(session, m.Open(1, "orders/1", b"\x00"), m.Open(2, "orders/2", b"\x00"))
    for name in ("orders/1", "orders/2"):
        session.ask(name, b"\x00")
        session.outbox.owe(name, b"\x00")
    hear(session)
    session.offer("orders/1", Relay(EMPTY))
    hear(session)
    assert say(session, m.Ack(2)) == [Delivered(("orders/2",))]
    assert say(session, m.Refuse(3, 4507, "full"), m.Ack(3)) == [Declined("orders/1", 4507, "full")]


def test_a_close_that_answers_ours_does_not_end_what_was_opened_anew() -> None:
    session = opened()
    say(session, m.Open(7, "orders/1", b"\x00"))
    session.ask("orders/1", b"\x00")
    say(session, m.Diff(7, 0, b"", EMPTY))
    session.finish("orders/1")
    assert hear(session)[-1] == m.Close(1)
    session.ask("orders/1", b"\x00")
    assert session.awaits("orders/1")
    assert say(session, m.Close(7)) == []
    assert hear(session) == [m.Open(2, "orders/1", b"\x00")]
    say(session, m.Open(7, "orders/1", b"\x00"))
    assert say(session, m.Close(7)) == [DocumentReleased("orders/1")]


def test_documents_are_opened_changed_and_released() -> None:
    session = opened()
    events = say(
        session,
        m.Open(7, "orders/1", b"\x00"),
        m.Diff(7, m.DIFF_MORE, b"", EMPTY),
        m.Diff(7, 0, b"", EMPTY),
        m.Update(7, EMPTY),
        m.Awareness(7, b"\x00"),
        m.Stale(7),
        m.Close(7),
    )
    assert events == [
        DocumentOpened("orders/1", b"\x00"),
        UpdateReceived("orders/1", EMPTY, 1, answer=True, more=True),
        UpdateReceived("orders/1", EMPTY, 2, answer=True, more=False),
        UpdateReceived("orders/1", EMPTY, 3, answer=False, more=False),
        PresenceReceived("orders/1", b"\x00"),
        ChangesDropped("orders/1"),
        DocumentReleased("orders/1"),
    ]
    assert session.unsaved == 3
    assert say(session, m.Open(7, "orders/2", b"\x00")) == [DocumentOpened("orders/2", b"\x00")]


def test_our_side_of_a_document_ends_when_it_is_released() -> None:
    session = opened()
    say(session, m.Open(7, "orders/1", b"\x00"), m.Close(7))
    session.ask("orders/1", b"\x00")
    session.outbox.owe("orders/1", b"\x00")
    session.offer_presence("orders/1", None)
    session.released("orders/1")
    assert hear(session) == [m.Open(1, "orders/1", b"\x00"), m.Close(1)]
    session.released("orders/1")
    session.ask("orders/1", b"\x00")
    assert hear(session) == [m.Open(2, "orders/1", b"\x00")]


def test_an_open_twice_asks_again() -> None:
    session = opened()
    twice = [m.Open(1, "orders/1", b"\x00"), m.Open(1, "orders/1", b"\x01\x01\x01")]
    assert len(say(session, *twice)) == 2


def test_rights_hold() -> None:
    session = opened(b"limited")
    assert say(session, m.Open(1, "menu/main", b"\x00"), m.Open(2, "staff/wages", b"\x00")) == [
        DocumentOpened("menu/main", b"\x00")
    ]
    assert hear(session) == [m.Deny("staff/wages", 4403, "no right to read this document")]
    assert not session.may_write("menu/main")
    assert session.may_write("orders/1")
    say(session, m.Open(3, "nocollection", b"\x00"))
    assert hear(session) == [m.Deny("nocollection", 4404, "a document name is collection/id")]


def test_the_number_of_documents_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ms, "MAX_DOCUMENTS", 2)
    session = opened()
    say(session, *(m.Open(n, f"o/{n}", b"\x00") for n in (1, 2, 3)))
    (deny,) = hear(session)
    assert isinstance(deny, m.Deny) and deny.code == Code.TOO_MANY


def test_it_asks_with_a_handle_of_its_own_and_once() -> None:
    session = opened()
    session.ask("orders/1", b"\x00")
    session.ask("orders/1", b"\x00")
    session.ask("orders/2", b"\x00")
    assert hear(session) == [m.Open(1, "orders/1", b"\x00"), m.Open(2, "orders/2", b"\x00")]
    say(session, m.Open(9, "orders/1", b"\x00"), m.Diff(9, 0, b"", EMPTY))
    session.ask("orders/1", b"\x01\x01\x01")
    assert hear(session) == [m.Open(1, "orders/1", b"\x01\x01\x01")]
    assert say(session, m.Close(9)) == [DocumentReleased("orders/1")]


def test_answers_are_made_when_they_can_be_sent() -> None:
    session = opened()
    session.ask("orders/1", b"\x00")
    session.outbox.owe("orders/1", b"\x00")
    hear_open, diff = hear(session)
    assert isinstance(hear_open, m.Open)
    assert diff == m.Diff(1, 0, bytes(16), EMPTY)


def test_a_large_answer_travels_in_parts() -> None:
    session = fresh()
    say(session, m.Hello(1, 1, PEER, 0, 8_192), m.Auth(0, b""))
    hear(session)
    author = Author(1)
    for number in range(800):
        author.set(f"key {number}", "x" * 50)
    session.ask("orders/1", b"\x00")
    session.outbox.owe("orders/1", b"\x00")
    parts = tuple(split_update(author.whole(), 8_192 - DIFF_OVERHEAD))
    messages = []
    while sent := session.data_to_send(Large(parts)):
        messages += sent
    assert len(messages) > 4 and max(map(len, messages)) <= 8_192
    diffs = [m.decode(r) for message in messages for r in records(message)][1:]
    assert [d.flags for d in diffs] == [m.DIFF_MORE] * (len(diffs) - 1) + [0]
    reader = Author(2)
    for diff in diffs:
        reader.take(diff.update)
    assert reader.read() == author.read()


def test_a_large_live_update_is_split() -> None:
    session = fresh()
    say(session, m.Hello(1, 1, PEER, 0, 8_192), m.Auth(0, b""))
    session.ask("orders/1", b"\x00")
    hear(session)
    author = Author(1)
    for number in range(300):
        author.set(f"key {number}", "x" * 50)
    session.offer("orders/1", Relay(author.whole()))
    updates = hear(session)
    assert len(updates) > 1 and all(isinstance(update, m.Update) for update in updates)


def test_what_does_not_fit_one_turn_waits_for_the_next() -> None:
    session = opened()
    for number in range(5):
        session.ask(f"orders/{number}", b"\x00")
        session.outbox.owe(f"orders/{number}", b"\x00")
    session.ask("orders/live", b"\x00")
    session.offer("orders/live", Relay(EMPTY))
    text = Author(1).write("x" * 200_000)
    rounds: list[list[m.Record | None]] = []
    while sent := hear(session, Answer((text,), bytes(16))):
        rounds.append([record for record in sent if isinstance(record, m.Diff | m.Update)])
    assert rounds[0][0] == m.Update(6, EMPTY), "live changes first"
    assert [sum(isinstance(record, m.Diff) for record in sent) for sent in rounds] == [1] * 5


def test_acks_are_cumulative_and_come_after_refusals() -> None:
    session = opened()
    say(session, m.Open(1, "orders/1", b"\x00"), m.Update(1, EMPTY), m.Update(1, EMPTY))
    session.refuse("orders/1", 1, Code.REFUSED, "no")
    session.acknowledge(2)
    assert hear(session) == [m.Refuse(1, 4422, "no")]
    session.acknowledge(1)
    assert session.unsaved == 0
    assert hear(session) == [m.Ack(2)]
    assert hear(session) == []


def test_a_slow_reader_is_told_what_is_stale() -> None:
    session = opened()
    session.ask("orders/1", b"\x00")
    hear(session)
    session.offer("orders/1", Relay(bytes(MAX_QUEUED_BYTES + 1)))
    assert hear(session) == [m.Stale(1)]
    session.outbox.owe("orders/1", b"\x00")
    assert hear(session) == [m.Diff(1, 0, bytes(16), EMPTY)]


def test_presence_goes_out() -> None:
    session = opened()
    session.ask("orders/1", b"\x00")
    session.offer_presence("orders/1", [1])
    session.echo_presence("orders/1", [1])
    assert hear(session)[1:] == [m.Awareness(1, b"\x00")]


def test_silence_is_asked_and_then_given_up() -> None:
    session = opened()
    assert not session.tick(1.0)
    assert not session.tick(PING_SECONDS)
    assert session.tick(PING_SECONDS + 1)
    assert hear(session) == [m.Ping(1)]
    say(session, m.Ping(8), m.Pong(1))
    assert hear(session) == [m.Pong(8)]
    session.tick(PING_SECONDS + 2)
    assert session.state is State.OPEN
    assert session.tick(PING_SECONDS + 2 + SILENCE_SECONDS)
    assert code(session) is Code.TIMEOUT
    assert not session.tick(1_000.0)


def test_a_closed_session_takes_nothing_more() -> None:
    session = opened()
    session.close(Code.GOING_AWAY, "stops")
    session.close(Code.MALFORMED, "later")
    assert code(session) is Code.GOING_AWAY
    session.offer("orders/1", Relay(EMPTY))
    session.offer_presence("orders/1", None)
    session.released("orders/1")
    session.ask("orders/1", b"\x00")
    session.refuse("orders/1", 1, Code.REFUSED, "no")
    assert hear(session) == [m.Goodbye(1001, "stops")]


def test_a_document_that_cannot_be_had_is_denied() -> None:
    session = opened()
    session.deny("orders/1", Code.UNAVAILABLE, "not now")
    assert hear(session) == [m.Deny("orders/1", Code.UNAVAILABLE, "not now")]
    session.close(Code.RESET, "enough")
    hear(session)
    session.deny("orders/1", Code.UNAVAILABLE, "not now")
    assert hear(session) == []


def test_subscriptions() -> None:
    session = opened()
    (begun,) = say(session, m.Subscribe(1, "orders", '{"a": 1}'))
    assert isinstance(begun, Subscribed)
    assert (begun.number, begun.collection) == (1, "orders") and begun.selector.equal == {"a": 1}
    assert say(session, m.Unsubscribe(1)) == [Unsubscribed(1)]
    assert say(session, m.Subscribe(1, "orders", "[]")) == []
    assert code(session) is Code.MALFORMED


def test_subscriptions_need_the_right_to_read() -> None:
    session = opened(b"reader")
    assert say(session, m.Subscribe(1, "staff", "")) == []
    (deny,) = hear(session)
    assert deny == m.Deny("staff", Code.FORBIDDEN, "no right to read this collection")


def test_the_number_of_subscriptions_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allotment_module, "MAX_SUBSCRIPTIONS", 2)
    session = opened()
    for number in (1, 2, 2, 3):
        say(session, m.Subscribe(number, "orders", ""))
    assert code(session) is Code.TOO_MANY


@pytest.mark.parametrize("collection", ["", ".", "a/b", "x" * 65, "x" * 250_000, "a\x00"])
def test_a_collection_has_a_name(collection: str) -> None:
    session = opened()
    assert say(session, m.Subscribe(1, collection, "")) == []
    (denied,) = hear(session)
    assert isinstance(denied, m.Deny) and denied.code == Code.BAD_NAME
    assert len(denied.document) <= 200 and session.state is State.OPEN


def test_what_left_a_subscription_is_closed_after_what_is_queued() -> None:
    session = opened()
    session.ask("orders/1", b"\x00")
    session.outbox.owe("orders/1", b"\x00")
    session.offer("orders/2", Relay(EMPTY))
    session.outbox.forget("orders/2")
    session.finish("orders/1")
    assert [type(record) for record in hear(session)] == [m.Open, m.Diff, m.Close]
    session.ask("orders/1", b"\x00")
    session.offer("orders/1", Relay(EMPTY))
    session.finish("orders/1")
    assert hear(session) == [m.Open(2, "orders/1", b"\x00"), m.Update(2, EMPTY), m.Close(2)]
    session.ask("orders/1", b"\x00")
    session.finish("orders/1")
    session.ask("orders/1", b"\x00")
    reopened = [m.Open(3, "orders/1", b"\x00"), m.Close(3), m.Open(4, "orders/1", b"\x00")]
    assert hear(session) == reopened
    session.outbox.owe("orders/1", b"\x00")
    session.finish("orders/1")
    assert session.data_to_send(Given(None)) == [] and session.outbox
    session.released("orders/1")
    session.close(Code.RESET, "enough")
    session.finish("orders/1")
    assert not session.outbox.finishing


def test_how_far_a_peer_that_saves_is_with_a_document() -> None:
    session = fresh()
    say(session, m.Hello(1, 1, PEER, m.FEATURE_SAVES, 262_144), AUTH)
    hear(session)
    session.tick(3.0)
    session.ask("orders/1", b"\x00")
    session.offer("orders/1", Relay(EMPTY))
    assert session.progress("orders/1") == Progress(Standing.WAITS)
    hear(session)
    assert session.progress("orders/1") == Progress(Standing.SENT, 1, 3.0)
    say(session, m.Ack(1))
    assert session.progress("orders/1") == Progress(Standing.HAS)
    session.offer("orders/1", Relay(EMPTY))
    hear(session)
    say(session, m.Refuse(2, Code.REFUSED, "no"))
    assert session.progress("orders/1") == Progress(Standing.DECLINED, 1, 3.0)


def test_of_a_peer_without_acks_only_what_it_was_told_is_known() -> None:
    session = opened()
    assert session.progress("orders/1") == Progress(Standing.TOLD)


@pytest.mark.parametrize(
    ("features", "client", "own", "other"),
    [
        (0, "", True, True),
        (m.FEATURE_RELAYS, "", False, False),
        (m.FEATURE_RELAYS, "7", True, False),
        (m.FEATURE_RELAYS, "\u0667", False, False),
        (m.FEATURE_RELAYS, "seven", False, False),
    ],
)
def test_what_a_peer_that_relays_writes_itself(
    features: int, client: str, own: bool, other: bool
) -> None:
    session = fresh()
    say(session, m.Hello(1, 1, PEER, features, 262_144, (("client", client),)), AUTH)
    assert (session.writes_as(7), session.writes_as(8)) == (own, other)


def telling(features: int, credential: bytes = b"", *, message_bytes: int = 262_144) -> MeshSession:
    session = MeshSession(LocalPeer(bytes(16), m.FEATURE_PEERS, ()), admit, "here", 0.0)
    hello = m.Hello(1, 1, PEER, features, message_bytes)
    say(session, hello, m.Auth(m.AUTH_NONE, credential))
    hear(session)
    return session


PEERS = m.Peers((m.PeerEntry(PEER, 1, b"", 0, 0, (("seq", "1"),)),))


def test_who_is_linked_to_whom() -> None:
    session = telling(m.FEATURE_PEERS)
    assert say(session, PEERS) == [PeersHeard(PEERS.entries)]
    session.tell(framed_peers(PEERS.entries))
    assert hear(session) == [PEERS]


@pytest.mark.parametrize("session", [telling(0), telling(m.FEATURE_PEERS, b"some")])
def test_links_are_told_only_to_who_asks_and_may_read_everything(session: MeshSession) -> None:
    assert say(session, PEERS) == []
    session.tell(framed_peers(PEERS.entries))
    assert hear(session) == [] and session.state is State.OPEN


def test_links_are_not_told_to_who_is_behind_or_takes_too_little() -> None:
    session = telling(m.FEATURE_PEERS, message_bytes=4_096)
    large = tuple(m.PeerEntry(PEER, 1, b"", 0, 0, (("name", "x" * 256),)) for _ in range(15))
    session.tell(framed_peers(large))
    assert hear(session) == []
    while sum(map(len, session.outbox.records)) < BEFORE_PEERS_BYTES:
        session.tell(framed_peers(large[:10]))
    before = len(session.outbox.records)
    session.tell(framed_peers(large[:10]))
    assert len(session.outbox.records) == before
    session.close(Code.GOING_AWAY, "enough")
    session.tell(framed_peers(PEERS.entries))
    assert all(isinstance(record, m.Goodbye) for record in hear(session))
