"""Which session a link gets."""

from typing import cast

import pytest

from gateway.core import messages as m
from gateway.core.errors import Code, PeerError
from gateway.core.framing import frame
from gateway.core.handshake import LocalPeer
from gateway.core.mesh_session import MeshSession
from gateway.core.session import Session, State
from gateway.core.y_session import YSession
from gateway.runtime.sessions import Sessions
from tests.runtime.test_members import Site, claimed


def of(site: Site, *, open_: bool = True) -> Sessions:
    return Sessions(LocalPeer(site.peer, 0, ()), site.members, lambda: 5.0, open_=open_)


def code(sessions: Sessions, path: str) -> Code:
    with pytest.raises(PeerError) as raised:
        sessions.called("there", path)
    return raised.value.code


def state_after(session: Session, *spoken: m.Record) -> State:
    session.receive(b"".join(frame(m.encode(record)) for record in spoken))
    return session.state


def test_an_open_device() -> None:
    sessions = of(Site(1))
    assert sessions.is_open
    plain = sessions.called("there", "/sync/orders/1")
    assert isinstance(plain, YSession) and plain.started == 5.0 and plain.address == "there"
    assert code(sessions, "/sync/orders") is Code.BAD_NAME
    hello = m.Hello(1, 1, b"p" * 16, 0, 262_144)
    assert state_after(sessions.called("there", "/mesh"), hello, m.Auth(0, b"")) is State.OPEN
    assert state_after(sessions.called("there", "/mesh"), hello, m.Auth(1, b"")) is State.CLOSED
    assert sessions.calling("ws://there/mesh").state is State.HELLO


def test_a_closed_device_of_no_store_lets_nobody_in() -> None:
    sessions = of(Site(1), open_=False)
    assert not sessions.is_open
    assert code(sessions, "/sync/orders/1") is Code.UNAUTHORISED
    hello = m.Hello(1, 1, b"p" * 16, 0, 262_144)
    session = cast(MeshSession, sessions.called("there", "/mesh"))
    assert state_after(session, hello, m.Auth(0, b"")) is State.CLOSED
    assert session.farewell is not None and session.farewell.code is Code.UNAUTHORISED


def test_phones_are_served_once_the_device_is_of_a_store() -> None:
    with pytest.raises(PeerError) as raised:
        of(Site(1)).phone("bluetooth 00:00:00:00:00:01")
    assert raised.value.code is Code.UNAUTHORISED
    session = cast(MeshSession, of(claimed()).phone("bluetooth 00:00:00:00:00:01"))
    assert session.state is State.NOISE and session.address == "bluetooth 00:00:00:00:00:01"
    assert session._terms.slow


def test_a_member_of_a_store() -> None:
    site = claimed()
    sessions = of(site)
    assert not sessions.is_open
    assert code(sessions, "/sync/orders/1") is Code.UNAUTHORISED
    token = site("token", role=None, name=None, grants=None)["token"]
    plain = sessions.called("there", f"/sync/orders/1?token={token}")
    assert isinstance(plain, YSession) and plain.member is not None
    assert sessions.called("there", "/mesh").state is State.NOISE
    assert sessions.calling("ws://there/mesh").state is State.NOISE
