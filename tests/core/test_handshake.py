"""How a mesh session comes to be open (docs/protocol.md section 3)."""

import pytest

from gateway.core import messages as m
from gateway.core.errors import Code
from gateway.core.events import Compared, LinkOpened
from gateway.core.handshake import HANDSHAKE_SECONDS
from gateway.core.session import State
from tests.core.test_mesh_session import (
    AUTH,
    EVERYTHING,
    HELLO,
    PEER,
    calling,
    code,
    fresh,
    hear,
    say,
)


def test_the_way_in() -> None:
    session = fresh()
    assert session.first_events() == ()
    (hello,) = hear(session)
    assert isinstance(hello, m.Hello) and hello.about == (("name", "g"),)
    assert say(session, HELLO) == []
    assert session.state is State.AUTH
    assert session.identity == PEER.hex() and session.about == {"app": "kiosk"}
    say(session, m.Auth(m.AUTH_NONE, b""))
    assert hear(session) == [m.Grant(EVERYTHING)]


def test_no_common_version() -> None:
    session = fresh()
    say(session, m.Hello(2, 9, PEER, 0, 262_144))
    assert code(session) is Code.VERSION
    goodbye = hear(session)[-1]
    assert isinstance(goodbye, m.Goodbye) and goodbye.code == Code.VERSION


def test_a_newer_peer_that_still_speaks_ours_is_welcome() -> None:
    session = fresh()
    say(session, m.Hello(1, 9, PEER, 0xFFFF, 262_144))
    assert session.state is State.AUTH


def test_the_way_in_of_who_calls() -> None:
    session = calling()
    (hello,) = hear(session)
    assert isinstance(hello, m.Hello) and session.calling
    assert say(session, HELLO) == []
    assert hear(session) == [m.Auth(m.AUTH_NONE, b"secret")]
    session.subscribe(1, "orders", "")
    session.reconcile(1, ours=True, payload=b"")
    assert hear(session) == [], "not yet"
    assert say(session, m.Grant((("orders", 1),))) == [LinkOpened()]
    assert session.granted == (("orders", 1),) and session.reads_all
    session.subscribe(1, "orders", "")
    session.reconcile(0, ours=True, payload=b"x")
    session.reconcile(2, ours=False, payload=b"y")
    assert hear(session) == [m.Reconcile(0, b"x"), m.Reconcile(5, b"y")], "it takes no SUBSCRIBE"
    assert say(session, m.Reconcile(3, b"z"), m.Reconcile(4, b"")) == [
        Compared(1, True, b"z"),
        Compared(2, False, b""),
    ]


def test_nobody_called_or_both_did() -> None:
    for session, record in ((calling(), AUTH), (fresh(), m.Grant(EVERYTHING))):
        say(session, HELLO, record)
        assert code(session) is Code.MALFORMED


def test_a_peer_does_not_talk_to_itself() -> None:
    session = fresh()
    say(session, m.Hello(1, 1, bytes(16), 0, 262_144))
    assert code(session) is Code.TOO_MANY


@pytest.mark.parametrize(("features", "size", "compares"), [
    (m.FEATURE_RECONCILE, 262_144, True), (m.FEATURE_RECONCILE, 8_192, False), (0, 262_144, False),
])  # fmt: skip
def test_who_compares(features: int, size: int, compares: bool) -> None:
    session = calling()
    say(session, m.Hello(1, 1, PEER, features, size))
    assert session.reconciles is compares
    assert session.payload_bytes <= size


def test_a_caller_must_come_in_soon() -> None:
    session = fresh()
    assert session.tick(HANDSHAKE_SECONDS)
    assert code(session) is Code.TIMEOUT
