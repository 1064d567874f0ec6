"""Live changes before history on a slow link, priorities and budgets: sessions and a fake link."""

import random

import pytest

from gateway.core import messages as m
from gateway.core.allowance import Allowance, Terms
from gateway.core.errors import Code
from gateway.core.framing import frame, records
from gateway.core.handshake import LocalPeer
from gateway.core.mesh_session import MeshSession
from gateway.core.outbox import Answer, Relay
from gateway.core.packing import pack, unpack
from gateway.core.schedule import PART_BYTES
from gateway.core.session import State
from gateway.core.split import split_update
from tests.core.edits import Author
from tests.core.sessions import Given
from tests.core.test_mesh_session import AUTH, EMPTY, PEER, admit, say

RATE = 20_000
# As in gateway/adapters/websocket.py: what the transport and the kernel hold.
HELD_BYTES = 4_096 + 4_096
HISTORY_BYTES = 5_000_000


def opened(terms: Terms, about: m.Pairs = ()) -> MeshSession:
    local = LocalPeer(bytes(16), m.FEATURE_SAVES, ())
    session = MeshSession(local, admit, "here", 0.0, terms)
    say(session, m.Hello(1, 1, PEER, m.FEATURE_RECONCILE, 262_144, about), AUTH)
    session.data_to_send(Given(None))
    return session


FEATURES = m.FEATURE_SAVES | m.FEATURE_DEFLATE | m.FEATURE_STATE


def slow(features: int = FEATURES) -> MeshSession:
    local = LocalPeer(bytes(16), FEATURES, ())
    session = MeshSession(local, admit, "here", 0.0, Terms(slow=True))
    say(session, m.Hello(1, 1, PEER, features, 262_144), AUTH)
    return session


def large_answer() -> Answer:
    """5 MB, in parts as they are cut, and then once more as it does not end in this test."""
    author = Author(1)
    for number in range(50):
        author.set(f"key {number}", "x" * 2_000)
    parts = split_update(author.whole(), 8_000)
    return Answer(tuple(parts) * (HISTORY_BYTES // 100_000), b"", b"\x01\x01\x01")


def heard(messages: list[bytes]) -> list[m.Record | None]:
    return [m.decode(record) for message in messages for record in records(message)]


class SlowLink:
    """Takes what a session sends at ``RATE``; congested like a WebSocket link."""

    def __init__(self, session: MeshSession, answer: Answer) -> None:
        self._session = session
        self._answer = Given(answer)
        self._queue: list[bytes] = []
        self._left = 0.0
        self.now = 0.0
        self.arrived: list[tuple[float, m.Record | None]] = []

    def run(self, seconds: float) -> None:
        """Let time pass, in steps of 10 ms."""
        for step in range(round(seconds * 100)):
            self.now += 0.01
            self._left += RATE / 100
            if not step % 100:
                self._session.tick(self.now)
            while sum(map(len, self._queue)) <= HELD_BYTES:
                if not (sent := self._session.data_to_send(self._answer)):
                    break
                self._queue += sent
            while self._queue and len(self._queue[0]) <= self._left:
                message = self._queue.pop(0)
                self._left -= len(message)
                self.arrived += [(self.now, record) for record in heard([message])]


def test_a_live_change_overtakes_5_mb_of_history_on_a_link_of_20_kb_a_second() -> None:
    session = opened(Terms())
    for name in ("menu/large", "orders/1"):
        session.ask(name, b"\x00")
    session.outbox.owe("menu/large", b"\x00")
    link = SlowLink(session, large_answer())
    for second in range(1, 21):
        link.run(1.37)
        # It is not silent.
        say(session, m.Pong(second))
        session.offer("orders/1", Relay(Author(second).set("status", second)))
        offered = link.now
        count = len(link.arrived)
        link.run(1.6)
        news = [(at, item) for at, item in link.arrived[count:] if isinstance(item, m.Update)]
        assert len(news) == 1
        assert news[0][0] - offered <= 1.0
    parts = [record for _, record in link.arrived if isinstance(record, m.Diff)]
    assert sum(len(part.update) for part in parts) > 0.9 * RATE * link.now


def test_a_document_that_changed_while_it_waits_goes_first() -> None:
    session = opened(Terms())
    for number in range(50):
        session.ask(f"orders/{number}", b"\x00")
        session.outbox.owe(f"orders/{number}", b"\x00")
    session.offer("orders/49", Relay(EMPTY))
    session.outbox.hurry("orders/new")
    session.ask("orders/new", b"\x00")
    session.outbox.owe("orders/new", b"\x00")
    text = Author(1).write("x" * 5_000)
    handles = [
        record.handle
        for record in heard(session.data_to_send(Given(Answer((text,), bytes(16)))))
        if isinstance(record, m.Diff)
    ]
    assert handles[:3] == [50, 51, 1]


def test_live_changes_go_by_priority_and_those_that_do_not_fit_wait() -> None:
    session = opened(Terms({"orders": 10}))
    relay = Relay(Author(1).write("x" * 6_000))
    for name in ("menu/1", "menu/2", "orders/1"):
        session.ask(name, b"\x00")
        session.offer(name, relay)
    rounds = []
    while sent := session.data_to_send(Given(None)):
        rounds.append([item.handle for item in heard(sent) if isinstance(item, m.Update)])
    assert rounds == [[3, 1], [2]] and session.outbox.queued_bytes == 0


def test_turns_of_exchanges_wait_like_history() -> None:
    session = opened(Terms())
    session.ask("orders/1", b"\x00")
    session.data_to_send(Given(None))
    session.reconcile(1, ours=True, payload=bytes(100_000))
    session.reconcile(2, ours=True, payload=b"second")
    session.offer("orders/1", Relay(EMPTY))
    first, second = (heard(session.data_to_send(Given(None))) for _ in range(2))
    assert [type(record) for record in first] == [m.Update, m.Reconcile]
    assert second == [m.Reconcile(4, b"second")]


def test_a_peer_is_sent_no_more_than_its_budget_and_nothing_is_dropped() -> None:
    about = Allowance(bytes_per_second=10_000).told()
    session = opened(Terms(), about)
    session.ask("menu/large", b"\x00")
    session.ask("orders/1", b"\x00")
    session.outbox.owe("menu/large", b"\x00")
    documents, sent = Given(large_answer()), 0
    for second in range(1, 11):
        while messages := session.data_to_send(documents):
            sent += sum(map(len, messages))
        assert sent <= 10_000 * second + 8_192
        assert session.outbox, "what is over waits"
        session.tick(float(second))
    session.offer("orders/1", Relay(Author(1).write("x" * 30_000)))
    assert any(isinstance(item, m.Update) for item in heard(session.data_to_send(documents)))
    session.offer("orders/1", Relay(EMPTY))
    assert session.data_to_send(documents) == [], "it went ahead by more than a second"
    for second in range(11, 15):
        session.tick(float(second))
    assert m.Update(2, EMPTY) in heard(session.data_to_send(documents))


def kinds(message: bytes) -> list[int]:
    return [record[0] for record in records(message)]


def test_on_a_slow_link_what_gets_smaller_is_deflated_once_the_peer_was_let_in() -> None:
    session = slow()
    (first,) = session.data_to_send(Given(None))
    assert kinds(first) == [1, 3], "a grant is not deflated"
    session.ask("orders/1", b"\x00")
    (short,) = session.data_to_send(Given(None))
    assert kinds(short) == [7]
    session.offer("orders/1", Relay(update := Author(1).set("note", "no onion " * 20)))
    (message,) = session.data_to_send(Given(None))
    assert kinds(message) == [m.DEFLATED] and len(message) < len(update)
    (record,) = records(unpack(records(message)[0][1:], 1 << 20))
    assert m.decode(record) == m.Update(1, update)
    noise = random.Random(1).randbytes(100)
    session.outbox.history.append(frame(m.encode(m.Reconcile(0, noise))))
    (incompressible,) = session.data_to_send(Given(None))
    assert kinds(incompressible) == [18]


def test_without_the_feature_and_on_a_fast_link_nothing_is_deflated() -> None:
    update = Author(1).set("note", "no onion " * 20)
    for session in (slow(m.FEATURE_SAVES), opened(Terms())):
        session.ask("orders/1", b"\x00")
        session.data_to_send(Given(None))
        session.offer("orders/1", Relay(update))
        (message,) = session.data_to_send(Given(None))
        assert kinds(message) == [9]


def deflated(*spoken: m.Record) -> bytes:
    batch = b"".join(frame(m.encode(record)) for record in spoken)
    return frame(bytes([m.DEFLATED]) + pack(batch))


def test_deflated_records_are_taken_in_an_open_session() -> None:
    session = slow()
    session.data_to_send(Given(None))
    session.receive(deflated(m.Ping(5), m.Ping(6)))
    (answers,) = session.data_to_send(Given(None))
    assert [m.decode(record) for record in records(answers)] == [m.Pong(5), m.Pong(6)]
    inner = deflated(m.Ping(7))
    session.receive(frame(bytes([m.DEFLATED]) + pack(inner)))
    assert session.state is State.OPEN and not session.outbox, "no deflated in a deflated"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (deflated(m.Ping(5)) + frame(m.encode(m.Ping(6))), Code.MALFORMED),
        (frame(bytes([m.DEFLATED]) + b"no deflate"), Code.MALFORMED),
        (frame(bytes([m.DEFLATED])), Code.MALFORMED),
        (frame(bytes([m.DEFLATED]) + pack(bytes(262_145))), Code.TOO_BIG),
        (frame(bytes([m.DEFLATED]) + pack(b"")), Code.MALFORMED),
    ],
)
def test_deflated_records_that_are_wrong_close(message: bytes, expected: Code) -> None:
    session = slow()
    session.receive(message)
    assert session.farewell is not None and session.farewell.code is expected


def test_deflated_records_before_the_session_is_open_are_skipped() -> None:
    session = MeshSession(LocalPeer(bytes(16), FEATURES, ()), admit, "here", 0.0)
    say(session, m.Hello(1, 1, PEER, FEATURES, 262_144))
    session.receive(deflated(AUTH))
    assert session.state is State.AUTH


def test_a_message_of_history_is_one_part_that_was_cut_or_many_small_answers() -> None:
    for size, expected in ((PART_BYTES - 500, 1), (700, 11)):
        session = opened(Terms())
        for number in range(20):
            session.ask(f"notes/{number}", EMPTY)
            session.outbox.owe(f"notes/{number}", EMPTY)
        session.outbox.records.clear()
        [message] = session.data_to_send(Given(Answer((bytes(size),), b"")))
        assert len(records(message)) == expected


def test_what_deflating_saved_is_given_back_to_the_budget() -> None:
    session = slow()
    session.data_to_send(Given(None))
    session._schedule.limit(2_000)
    session.ask("orders/1", b"\x00")
    for number in range(20):
        session.offer("orders/1", Relay(Author(number + 1).set("note", "x" * 1_000)))
        assert session.data_to_send(Given(None)), number


def test_the_state_of_the_store_is_told_once_the_link_is_quiet() -> None:
    session = slow()
    assert not session.tell_state(b"1111"), "something waits"
    session.data_to_send(Given(None))
    session.tick(1.0)
    session.tick(2.0)
    assert not session.tell_state(b"1111"), "it was just said something"
    session.tick(4.0)
    assert session.tell_state(b"1111")
    (message,) = session.data_to_send(Given(None))
    assert heard([message]) == [m.State(b"1111")]
    for now in (5.0, 6.0, 8.0):
        session.tick(now)
    assert not session.tell_state(b"1111") and session.tell_state(b"2222")
    session.close(Code.GOING_AWAY, "")
    assert not session.tell_state(b"3333")


def test_what_the_peer_says_of_its_store_is_kept() -> None:
    session = slow()
    say(session, m.State(b"1234"))
    assert session.store_state == b"1234" and session.state is State.OPEN
