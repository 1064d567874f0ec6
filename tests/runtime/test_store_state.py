"""Which state of the store phones are told, and when."""

from types import SimpleNamespace
from typing import Any, cast

from gateway.core import messages as m
from gateway.core.beacon import state_digest
from gateway.core.handshake import LocalPeer
from gateway.core.mesh_session import MeshSession
from gateway.runtime.store_state import StoreState
from tests.core.sessions import Given, RecordingSession
from tests.core.test_mesh_session import AUTH, PEER, admit, say

ROOT = bytes(range(32))
OWN = bytes([7]) * 16


class Stage:
    """Stands for members and performer."""

    def __init__(self, *, member: bool = True, draw: bytes = b"12345678") -> None:
        self.membership = SimpleNamespace(root_public=ROOT) if member else None
        self.hub = SimpleNamespace(sessions=[])
        self.commits = 0
        self.busy = False
        self.woken: list[Any] = []
        self.state = StoreState(OWN, cast(Any, self), cast(Any, self), lambda count: draw)

    def settled(self, session: Any) -> bool:
        return not self.busy

    def wake(self, session: Any) -> None:
        self.woken.append(session)

    def join(self, features: int = m.FEATURE_STATE) -> MeshSession:
        session = MeshSession(LocalPeer(bytes(16), m.FEATURE_STATE, ()), admit, "here", 0.0)
        say(session, m.Hello(1, 1, PEER, features, 262_144), AUTH)
        session.data_to_send(Given(None))
        for now in (1.0, 4.0):
            session.tick(now)
        self.hub.sessions.append(session)
        return session


def test_who_has_everything_is_told_the_digest() -> None:
    stage = Stage()
    session, _ = stage.join(), stage.join(0)
    stage.hub.sessions.append(RecordingSession())
    stage.busy = True
    stage.state.tell()
    assert stage.woken == [], "it is still being looked for what it wants"
    stage.busy = False
    stage.state.tell()
    stage.state.tell()
    assert stage.woken == [session]


def test_each_commit_and_each_start_is_another_state() -> None:
    stage = Stage()
    first = stage.state.digest()
    assert first == state_digest(ROOT, OWN, b"12345678" + bytes(8))
    stage.commits += 1
    assert len({first, stage.state.digest(), Stage(draw=b"87654321").state.digest()}) == 3


def test_a_device_of_no_store_says_nothing() -> None:
    stage = Stage(member=False)
    stage.join()
    stage.state.tell()
    assert stage.state.digest() == b"" and stage.woken == []
