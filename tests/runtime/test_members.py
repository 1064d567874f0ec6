"""A gateway among the members of its store, without links: verbs, and what is kept."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from gateway.core.errors import Code, GatewayError, PeerError
from gateway.core.events import LinkOpened
from gateway.core.handshake import LocalPeer
from gateway.core.mesh_session import MeshSession
from gateway.core.session import State
from gateway.runtime.identity import Identity
from gateway.runtime.member_verbs import MemberVerbs
from gateway.runtime.members import Members
from gateway.runtime.perform import Performer
from tests.core.sessions import RecordingSession
from tests.core.stores import by_code, fresh, talk


class Files:
    """Satisfies ``IdentityStore``, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.full = False

    def read(self, name: str) -> Any:
        return self.values.get(name)

    def write(self, name: str, value: Any) -> None:
        if self.full:
            raise GatewayError("identity-failed", "the disk is full", 74)
        self.values[name] = value


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class FakePerformer:
    """Knows sessions, and who was woken."""

    def __init__(self) -> None:
        self.hub = self
        self.sessions: dict[Any, None] = {}
        self.woken: list[Any] = []

    def wake(self, session: Any) -> None:
        self.woken.append(session)


class Site:
    """One device's ``Members`` and verbs; ``start`` is a new process over the same files."""

    def __init__(self, number: int, pairing: Any = None) -> None:
        self.peer = bytes([number]) * 16
        self.files, self.clock = Files(), Clock()
        self.hints: list[str] = []
        self.addresses = ["10.0.0.7:8787"]
        self.start(pairing)

    def start(self, pairing: Any = None) -> None:
        identity = Identity(self.files, self._draw)
        self.members = Members(self.peer, identity, self.clock, self._draw, "Till", pairing)
        self.performer = FakePerformer()
        self.members.attach(cast(Performer, self.performer), self.hints.append)
        self.verbs = MemberVerbs(self.members, lambda: self.addresses)

    def __call__(self, verb: str, **arguments: Any) -> Mapping[str, Any]:
        answer = self.verbs.answer(verb, arguments)
        assert answer is not None
        return answer

    def refuses(self, code: str, verb: str, **arguments: Any) -> None:
        with pytest.raises(GatewayError) as raised:
            self(verb, **arguments)
        assert raised.value.code == code

    def session(self, side: Any) -> MeshSession:
        session = MeshSession(LocalPeer(self.peer, 0, (("name", "Till"),)), side, "there", 0.0)
        self.performer.sessions[session] = None
        return session

    def _draw(self, count: int) -> bytes:
        return fresh()[:count]


def link(caller: Site, acceptor: Site) -> tuple[MeshSession, MeshSession]:
    """A call, and what both learn of it."""
    one = caller.session(caller.members.calling("there"))
    two = acceptor.session(acceptor.members.accepting())
    for site, session, events in zip((caller, acceptor), (one, two), talk(one, two), strict=True):
        for event in events:
            if not isinstance(event, LinkOpened):
                site.members.heard(session, event)  # type: ignore[arg-type]
    return one, two


def claimed(number: int = 1) -> Site:
    site = Site(number)
    site("claim")
    return site


def test_claim_and_what_is_kept_of_it() -> None:
    site = Site(1)
    assert site.members.is_open and site.members.store_hint == ""
    answer = site("claim", name="Corner shop")
    code = answer["recovery_code"]
    assert code.startswith("SGR1-") and answer["name"] == "Corner shop"
    assert not site.members.is_open and site.hints == [site.members.store_hint] != [""]
    site.refuses("claimed", "claim")
    site.start()
    assert site.members.membership is not None
    assert site.members.membership.store.hex() == answer["store"]
    # The root key is nowhere.
    assert code not in repr(site.files.values)
    other = Site(2)
    other.refuses("recovery-code", "claim", recovery_code="SGR1-0000")
    other.refuses("usage", "claim", name="x" * 65)
    assert other("claim", recovery_code=code)["store"] == answer["store"]


def test_a_claimed_gateway_without_its_keys_does_not_open_again() -> None:
    site = claimed()
    del site.files.values["keys"]
    with pytest.raises(GatewayError) as raised:
        site.start()
    assert raised.value.code == "identity-damaged"


@pytest.mark.parametrize("name", ["keys", "membership", "revocations", "devices"])
@pytest.mark.parametrize("damage", [7, {"noise": 1}, [1], [{"peer": "x"}], {"root": "00"}])
def test_damaged_files_are_said(name: str, damage: Any) -> None:
    site = claimed()
    site.files.values[name] = damage
    with pytest.raises(GatewayError) as raised:
        site.start()
    assert raised.value.code == "identity-damaged"


def test_strangers_go_when_the_gateway_is_claimed() -> None:
    site = Site(1)
    stranger = RecordingSession()
    site.performer.sessions[stranger] = None
    site("claim")
    assert stranger.farewell is not None and stranger.farewell.code is Code.UNAUTHORISED
    assert site.performer.woken == [stranger]


def test_verbs_of_a_gateway_that_is_of_no_store() -> None:
    site = Site(1)
    for verb in ("pair", "revoke", "token"):
        site.refuses("not-claimed", verb)
    assert site("devices") == {"devices": []}
    assert site.verbs.answer("dance", {}) is None
    site.refuses("no-pairing", "pairing", window=1)
    with pytest.raises(PeerError):
        site.members.token("a.b.c")


def test_a_pairing_from_the_window_to_the_list() -> None:
    hub = claimed()
    window = hub("pair", role="kiosk", grants=[["orders", 3]])
    assert hub("pairing", window=window["window"])["state"] == "open"
    till = Site(2, by_code(window["code"]))
    assert not till.members.is_open
    with pytest.raises(PeerError):
        till.members.accepting()
    one, two = link(till, hub)
    assert one.state is two.state is State.OPEN
    ended = hub("pairing", window=window["window"])
    assert (ended["state"], ended["name"], ended["peer"]) == ("paired", "Till", till.peer.hex())
    (device,) = hub("devices")["devices"]
    assert (device["name"], device["role"], device["grants"]) == ("Till", "kiosk", (("orders", 3),))
    assert device["linked"] and device["link"] == "mesh" and not device["revoked"]
    del hub.performer.sessions[two]
    (device,) = hub("devices")["devices"]
    assert not device["linked"] and device["link"] == "mesh"
    # From now on neither code nor address: with the same command line, too.
    for pairing in (None, by_code(window["code"])):
        till.start(pairing)
        one, _ = link(till, hub)
        assert one.state is State.OPEN and one.granted == (("orders", 3),)
    assert "credential" in hub.files.values["devices"][0]
    hub.start()
    assert len(hub("devices")["devices"]) == 1


def test_who_cannot_be_reached_pairs_nobody() -> None:
    hub = claimed()
    hub.addresses = []
    hub.refuses("not-listening", "pair")


def test_a_new_window_ends_the_one_before_and_each_can_be_closed() -> None:
    hub = claimed()
    first, second = hub("pair"), hub("pair", minutes=1)
    hub.refuses("no-pairing", "pairing", window=first["window"])
    assert second["seconds"] == 60 and second["grants"] == (("*", 3),)
    assert hub("pair-close", window=second["window"])["state"] == "closed"
    late = Site(2, by_code(second["code"]))
    one, _ = link(late, hub)
    assert one.told is not None and one.told[0] == Code.UNAUTHORISED
    third = hub("pair", minutes=1)
    hub.clock.now = 60.0
    assert hub("pairing", window=third["window"]) == {"state": "expired", "seconds": 0, "tries": 5}


@pytest.mark.parametrize(
    "arguments",
    [
        {"minutes": 0}, {"minutes": 61}, {"minutes": "x"}, {"role": "x" * 33}, {"role": 7},
        {"grants": "all"}, {"grants": [["a/b", 3]]}, {"grants": [["a", 4]]},
        {"grants": [["a", 1]] * 33},
    ],
)  # fmt: skip
def test_a_window_that_cannot_be(arguments: dict[str, Any]) -> None:
    claimed().refuses("usage", "pair", **arguments)


def test_a_call_after_the_first_is_shorter_until_it_fails() -> None:
    code = (hub := claimed())("pair")["code"]
    till = Site(2, by_code(code))
    patterns = []
    for _ in range(3):
        one, _ = link(till, hub)
        assert one._entrance is not None and one.state is State.OPEN
        patterns.append(one._entrance.channel.pattern)
    assert [pattern.name for pattern in patterns if pattern is not None] == ["XXPSK0", "IK", "IK"]
    # Another gateway of the store answers there now.
    other = Site(3)
    joined = claimed_like(hub, other)
    one, _ = link(till, joined)
    assert one.state is State.CLOSED
    one, _ = link(till, joined)
    assert one.state is State.OPEN


def claimed_like(hub: Site, site: Site) -> Site:
    """Of the same store; its root key was never kept, so it is made of a new certificate."""
    from gateway.core.membership import Membership, found
    from gateway.core.revocations import Revocations
    from gateway.runtime.identity import Belonging

    assert hub.members.membership is not None and HUB_ROOT
    keys = site.members.keys = site.members.identity.make_keys()
    certificate = found(HUB_ROOT[-1], site.peer, keys, bytes(8))
    root = hub.members.membership.root_public
    membership = Membership(site.peer, keys, root, 4, certificate, Revocations(root))
    site.members.gain(Belonging(membership))
    return site


HUB_ROOT: list[bytes] = []


@pytest.fixture(autouse=True)
def _root_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Note the root keys that are made."""
    from gateway.core.recovery import recovery_code

    HUB_ROOT.clear()

    def note(root: bytes) -> str:
        HUB_ROOT.append(root)
        return recovery_code(root)

    monkeypatch.setattr("gateway.runtime.member_verbs.recovery_code", note)


def test_revoke_shuts_out_at_once_is_kept_and_passed_on() -> None:
    hub = claimed()
    tills = []
    for number in (2, 3):
        till = Site(number, by_code(hub("pair")["code"]))
        _, session = link(till, hub)
        tills.append((till, session))
    (lost, gone), (_, other) = tills
    hub.refuses("usage", "revoke", peer="02")
    hub.refuses("usage", "revoke", peer="nobody")
    hub.refuses("usage", "revoke", peer=hub.peer.hex())
    assert hub("revoke", peer=lost.peer.hex()[:6].upper())["peer"] == lost.peer.hex()
    assert gone.farewell is not None and gone.farewell.code is Code.REVOKED
    assert other.state is State.OPEN and hub.performer.woken[-2:] == [gone, other]
    assert len(hub.files.values["revocations"]) == 1
    hub.start()
    one, _ = link(lost, hub)
    assert one.told is not None and one.told[0] == Code.REVOKED
    assert [d["revoked"] for d in hub("devices")["devices"]] == [True, False]
    # Its id is free again for who is paired with a new code.
    lost.start(by_code(hub("pair")["code"]))
    one, _ = link(lost, hub)
    assert one.state is State.OPEN
    # A device that only another gateway knows.
    assert hub("revoke", peer="ab" * 16)["peer"] == "ab" * 16


def test_a_device_passes_on_what_it_heard() -> None:
    hub = claimed()
    till = Site(2, by_code(hub("pair")["code"]))
    link(till, hub)
    other = claimed_like(hub, Site(3))
    hub("revoke", peer="ab" * 16)
    link(till, hub)
    assert len(till.files.values["revocations"]) == 1
    # The first call expects the other gateway there.
    for _ in range(2):
        link(till, other)
    assert other.files.values["revocations"] == hub.files.values["revocations"]
    till.refuses("not-a-gateway", "revoke", peer="cd" * 16)


def test_tokens() -> None:
    hub = claimed()
    made = hub("token", role="menu board", name="Wall", grants=[["menu", 1]])
    admitted = hub.members.token(made["token"])
    assert admitted.peer.hex() == made["peer"] and admitted.grants == (("menu", 1),)
    assert made["token"] not in repr(hub.files.values)
    (listed,) = hub("devices")["devices"]
    assert listed["token"] and listed["name"] == "Wall"
    with pytest.raises(PeerError) as raised:
        hub.members.token("")
    assert raised.value.code is Code.UNAUTHORISED
    hub("revoke", peer=made["peer"][:8])
    with pytest.raises(PeerError) as raised:
        hub.members.token(made["token"])
    assert raised.value.code is Code.REVOKED


def test_a_gateway_that_is_linked_is_listed() -> None:
    hub = claimed()
    other = claimed_like(hub, Site(3))
    link(other, hub)
    (listed,) = hub("devices")["devices"]
    assert listed["gateway"] and listed["linked"] and listed["peer"] == other.peer.hex()


def test_acceptors_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.runtime.members.MOST_CALLED", 2)
    hub = claimed()
    for number in range(5):
        hub.members.calling(f"10.0.0.{number}")
    assert list(hub.members._called) == ["10.0.0.3", "10.0.0.4"]


def test_a_full_disk_keeps_nobody_out_and_lets_nobody_in() -> None:
    hub = claimed()
    till = Site(2, by_code(hub("pair")["code"]))
    hub.files.full = True
    _, two = link(till, hub)
    assert two.farewell is not None and two.farewell.code is Code.UNAVAILABLE
    assert hub("devices")["devices"] == [] and hub.members.paired is None
    hub.files.full = False
    window = hub("pair")
    till = Site(2, by_code(window["code"]))
    till.members.calling("there")
    till.files.full = True
    one, _ = link(till, hub)
    assert one.farewell is not None and one.farewell.code is Code.UNAVAILABLE
    assert till.members.membership is None and not till.members.is_open


def test_a_revocation_that_cannot_be_kept_shuts_out_all_the_same() -> None:
    hub = claimed()
    till = Site(2, by_code(hub("pair")["code"]))
    _, session = link(till, hub)
    other = claimed_like(hub, Site(3))
    other.files.full = True
    with pytest.raises(GatewayError):
        other("revoke", peer=till.peer.hex())
    hub.files.full = True
    for _ in range(2):
        _, teller = link(other, hub)
    assert session.farewell is not None and session.farewell.code is Code.REVOKED
    assert teller.state is State.OPEN
