"""Members of a store let each other in over a sealed link, and nobody else."""

import pytest

from gateway.core import messages as m
from gateway.core.entrance import PairingSecret
from gateway.core.errors import Code, PeerError
from gateway.core.events import DevicePaired, LinkOpened, MembershipGained, RevocationsHeard
from gateway.core.framing import MESSAGE_BYTES, frame
from gateway.core.handshake import LocalPeer
from gateway.core.membership import Membership
from gateway.core.mesh_session import MeshSession
from gateway.core.noise import Pattern
from gateway.core.pairing import TRIES, PairingWindow, PairRequest, WindowState
from gateway.core.revocations import Revocations
from gateway.core.session import State
from tests.core.stores import (
    CODE,
    OTHER_ROOT,
    Device,
    by_code,
    by_qr,
    gateway,
    linked,
    paired,
    sent,
    talk,
    window,
)

MENU: m.Grants = (("menu", m.RIGHT_READ), ("orders", m.RIGHT_READ | m.RIGHT_WRITE))


def reason(session: MeshSession) -> str:
    assert session.farewell is not None
    return session.farewell.reason


def code(session: MeshSession) -> Code:
    assert session.state is State.CLOSED and session.farewell is not None
    return session.farewell.code


def told(session: MeshSession) -> int:
    assert session.state is State.CLOSED and session.told is not None
    return session.told[0]


def bare(*spoken: m.Record) -> bytes:
    return b"".join(frame(m.encode(record)) for record in spoken)


def pairing(
    secret: PairingSecret, opened: PairingWindow | None
) -> tuple[Device, MeshSession, MeshSession]:
    hub, till = gateway(1), Device(2)
    ends = till.session(till.calling(pairing=secret)), hub.session(hub.accepting(opened))
    return till, *ends


def test_two_gateways_that_never_met() -> None:
    caller, acceptor = linked(gateway(1), gateway(2))
    assert caller.state is acceptor.state is State.OPEN
    assert caller.calling and not acceptor.calling
    assert caller.member and caller.member.peer == bytes([2]) * 16 and not caller.member.ticket
    assert acceptor.member and acceptor.member.peer == bytes([1]) * 16
    assert acceptor.may_write("orders/1") and caller.may_write("orders/1")
    assert caller.granted == (("*", 3),)


def test_a_device_gets_what_its_ticket_says_and_allows_what_the_other_may() -> None:
    hub = gateway(1)
    till = paired(hub, 2, MENU)
    caller, acceptor = linked(till, hub, hub.keys.noise.public)
    assert acceptor.may_read("menu/1") and not acceptor.may_write("menu/1")
    assert acceptor.may_write("orders/1") and not acceptor.may_read("staff/1")
    assert caller.may_write("menu/1") and caller.granted == MENU
    assert not acceptor.reads_all and caller.reads_all


def test_two_small_devices_without_a_gateway() -> None:
    hub = gateway(1)
    caller, acceptor = linked(paired(hub, 2, MENU), paired(hub, 3))
    assert acceptor.state is State.OPEN
    assert not acceptor.may_write("menu/1") and caller.may_write("menu/1")


def test_nothing_of_a_session_is_readable_on_the_wire() -> None:
    hub, till = gateway(1), Device(2)
    opened = window()
    till_side = till.session(till.calling(pairing=by_code()))
    hub_side = hub.session(hub.accepting(opened))
    wire = b""
    for _ in range(6):
        for one, other in ((till_side, hub_side), (hub_side, till_side)):
            for message in sent(one):
                wire += message
                other.receive(message)
    assert hub_side.state is State.OPEN
    for said in (b"Till", till.peer, hub.peer, till.keys.noise.public, hub.of.root_public):
        assert said not in wire


def test_a_stranger_in_the_open_is_told_to_pair_and_nothing_else() -> None:
    hub = gateway(1)
    session = hub.session(hub.accepting())
    assert sent(session) == []
    hello = m.Hello(1, 1, bytes(16), 0, MESSAGE_BYTES)
    assert session.receive(bare(hello, m.Auth(0, b""))) == []
    assert code(session) is Code.UNAUTHORISED
    (message,) = sent(session)
    assert message == bare(m.Goodbye(4401, "only members of this store are let in: pair first"))


def test_a_caller_does_not_go_on_in_the_open() -> None:
    till = paired(gateway(1), 2)
    session = till.session(till.calling())
    sent(session)
    session.receive(bare(m.Hello(1, 1, bytes(16), 0, MESSAGE_BYTES)))
    assert code(session) is Code.UNAUTHORISED


def test_nothing_may_ride_on_a_handshake_message() -> None:
    hub, other = gateway(1), gateway(2)
    session = hub.session(hub.accepting())
    (first,) = sent(other.session(other.calling()))
    session.receive(first + bare(m.Hello(1, 1, bytes(16), 0, MESSAGE_BYTES)))
    assert code(session) is Code.MALFORMED and session.identity == ""


def test_a_goodbye_before_the_end_of_the_handshake() -> None:
    till = paired(gateway(1), 2)
    session = till.session(till.calling())
    session.receive(bare(m.Goodbye(4401, "pair first")))
    assert session.told == (4401, "pair first") and code(session) is Code.GOING_AWAY


def test_a_handshake_that_takes_too_long_is_ended_in_the_open() -> None:
    hub = gateway(1)
    session = hub.session(hub.accepting())
    assert session.tick(10.0)
    assert code(session) is Code.TIMEOUT
    (message,) = sent(session)
    assert message == bare(m.Goodbye(4408, "the link was not opened in time"))


@pytest.mark.parametrize("number", [9, 63])
def test_a_pattern_that_is_not_known(number: int) -> None:
    hub = gateway(1)
    session = hub.session(hub.accepting())
    session.receive(bare(m.Noise(number, bytes(32))))
    assert code(session) is Code.VERSION


def test_a_handshake_that_changes_its_pattern() -> None:
    hub, other = gateway(1), gateway(2)
    session, caller = hub.session(hub.accepting()), other.session(other.calling())
    (first,) = sent(caller)
    session.receive(first)
    session.receive(bare(m.Noise(Pattern.IK, bytes(64))))
    assert code(session) is Code.MALFORMED


def test_a_recorded_first_message_leads_to_nothing() -> None:
    hub = gateway(1)
    till = paired(hub, 2)
    caller = till.session(till.calling(hub.keys.noise.public))
    (first,) = sent(caller)
    honest = hub.session(hub.accepting())
    honest.receive(first)
    for message in sent(honest):
        caller.receive(message)
    recorded = [first, *sent(caller)]
    replayed = hub.session(hub.accepting())
    for message in recorded:
        assert replayed.receive(message) == []
    assert code(replayed) is Code.UNAUTHORISED and replayed.member is None
    # After that nothing can be said, not even goodbye.
    assert len(sent(replayed)) <= 1 and replayed.identity == ""


def test_a_changed_sealed_message_ends_the_link_without_a_word() -> None:
    caller, acceptor = linked(gateway(1), gateway(2))
    caller.close(Code.RESET, "")
    (message,) = sent(caller)
    acceptor.receive(message[:-1] + bytes([message[-1] ^ 1]))
    assert code(acceptor) is Code.UNAUTHORISED and sent(acceptor) == []


def test_a_batch_above_the_limit() -> None:
    caller, acceptor = linked(gateway(1), gateway(2))
    assert caller._entrance is not None
    acceptor.receive(caller._entrance.channel.seal(bytes(MESSAGE_BYTES + 1)))
    assert code(acceptor) is Code.TOO_BIG
    (goodbye,) = sent(acceptor)
    caller.receive(goodbye)
    assert told(caller) == Code.TOO_BIG


def test_an_evil_twin_of_another_store_is_left_by_its_caller() -> None:
    hub = gateway(1)
    till, twin = paired(hub, 2), gateway(3, OTHER_ROOT)
    caller, acceptor = linked(till, twin)
    assert told(caller) == Code.OTHER_STORE and code(acceptor) is Code.OTHER_STORE


def test_an_evil_twin_that_lets_everybody_in_is_left_by_its_caller() -> None:
    """It answers AUTH with GRANT: showing nothing, its own store, or what it copied."""
    hub, twin = gateway(1), gateway(1, OTHER_ROOT)
    copied = m.Member(*hub.of.shown)
    for shown, expected in (
        ([], Code.UNAUTHORISED),
        ([m.Member(*twin.of.shown)], Code.OTHER_STORE),
        ([copied], Code.UNAUTHORISED),
        ([m.Member(m.AUTH_NONE, b"")], Code.UNAUTHORISED),
        ([m.Member(m.AUTH_TICKET, b"")], Code.MALFORMED),
    ):
        till = paired(hub, 2)
        caller, acceptor = till.session(till.calling()), twin.session(twin.accepting())
        for _ in range(3):
            for one, other in ((caller, acceptor), (acceptor, caller)):
                if acceptor.state is State.AUTH and caller.state is State.AUTH:
                    break
                for message in sent(one):
                    other.receive(message)
        assert acceptor._entrance is not None
        batch = bare(*shown, m.Grant((("*", 3),)))
        caller.receive(acceptor._entrance.channel.seal(batch))
        assert code(caller) is expected


def test_a_ticket_is_of_no_use_to_another_device() -> None:
    hub = gateway(1)
    till, thief = paired(hub, 2), Device(2)
    thief.membership = Membership(
        till.peer, till.keys, till.of.root_public, *till.of.shown, Revocations(till.of.root_public)
    )
    caller, acceptor = linked(thief, hub)
    assert told(caller) == Code.UNAUTHORISED and code(acceptor) is Code.UNAUTHORISED


def test_a_ticket_with_another_peer_id() -> None:
    hub = gateway(1)
    till = paired(hub, 2)
    till.peer = bytes([9]) * 16
    _, acceptor = linked(till, hub)
    assert code(acceptor) is Code.UNAUTHORISED


def test_other_methods_do_not_let_anybody_in() -> None:
    hub = gateway(1)
    for method in (m.AUTH_NONE, m.AUTH_TOKEN, m.AUTH_PAIR, 77):
        till = paired(hub, 2)
        side = till.calling()
        till.of.shown = (method, b"")
        caller, acceptor = till.session(side), hub.session(hub.accepting(window()))
        talk(caller, acceptor)
        assert code(acceptor) is Code.UNAUTHORISED


def test_records_of_the_wrong_side_close() -> None:
    for record in (m.Ticket(b"", b""), m.Member(4, b""), m.Grant(())):
        caller, acceptor = gateway(1), gateway(2)
        side = caller.calling()
        ends = caller.session(side), acceptor.session(acceptor.accepting())
        side.auth = lambda said=record: said  # type: ignore[method-assign, misc]
        talk(*ends)
        assert told(ends[0]) == Code.MALFORMED
    side = gateway(1).calling()
    with pytest.raises(PeerError, match="both sides called"):
        gateway(1).session(side)._meet(side, m.Auth(0, b""))


def test_ticket_and_member_out_of_turn() -> None:
    till, hub = paired(gateway(1), 2), gateway(1)
    side = till.calling()
    with pytest.raises(PeerError, match="does not belong"):
        side.take(m.Ticket(b"", hub.of.root_public))
    new = Device(5).calling(pairing=by_code())
    with pytest.raises(PeerError, match="before TICKET"):
        new.meet(m.Member(4, b""), bytes(16))


@pytest.mark.parametrize("how", ["code", "qr"])
def test_pairing(how: str) -> None:
    hub, till = gateway(1), Device(2)
    secret = by_code() if how == "code" else by_qr(hub)
    opened = window(grants=MENU)
    caller = till.session(till.calling(pairing=secret))
    acceptor = hub.session(hub.accepting(opened))
    events = talk(caller, acceptor)
    assert opened.state(0.0) is WindowState.PAIRED
    gained, link = events[0]
    assert isinstance(gained, MembershipGained) and isinstance(link, LinkOpened)
    device = next(event.device for event in events[1] if isinstance(event, DevicePaired))
    # What it asked for ("owner") counts for nothing.
    assert (device.name, device.role, device.grants) == ("Till", "device", MENU)
    assert device.signing_key == till.keys.signing_public
    assert caller.state is acceptor.state is State.OPEN and caller.granted == MENU
    till.membership = gained.membership
    again, _ = linked(till, hub, hub.keys.noise.public)
    assert again.state is State.OPEN
    # The secret is dead.
    late = Device(3)
    ends = late.session(late.calling(pairing=secret)), hub.session(hub.accepting(opened))
    talk(*ends)
    assert told(ends[0]) == code(ends[1]) == Code.UNAUTHORISED


def test_no_pairing_is_open() -> None:
    for opened in (None, window(until=0.0)):
        _, caller, acceptor = pairing(by_code(), opened)
        talk(caller, acceptor)
        assert told(caller) == code(acceptor) == Code.UNAUTHORISED


def test_wrong_codes_are_tries_and_close_the_window() -> None:
    opened = window()
    hub = gateway(1)
    for left in reversed(range(TRIES)):
        assert opened.state(0.0) is WindowState.OPEN
        guesser = Device(2)
        secret = by_code("0" * 20) if left % 2 else by_qr(hub, bytes(32))
        ends = (
            guesser.session(guesser.calling(pairing=secret)),
            hub.session(hub.accepting(opened)),
        )
        talk(*ends)
        assert code(ends[1]) is Code.UNAUTHORISED and opened.tries == left
        assert reason(ends[1]).startswith("the pairing code is wrong: ")
    assert opened.state(0.0) is WindowState.TRIED
    opened.failed()
    till = Device(3)
    ends = till.session(till.calling(pairing=by_code())), hub.session(hub.accepting(opened))
    talk(*ends)
    assert code(ends[1]) is Code.UNAUTHORISED and "ask for a new code" in reason(ends[1])


def test_what_is_malformed_is_not_a_try() -> None:
    opened = window()
    hub = gateway(1)
    session = hub.session(hub.accepting(opened))
    session.receive(bare(m.Noise(Pattern.XXPSK0, bytes(7))))
    assert code(session) is Code.MALFORMED and opened.tries == TRIES


def test_garbage_after_the_secret_was_proven_is_not_a_try() -> None:
    opened = window()
    _, caller, acceptor = pairing(by_code(), opened)
    talk(caller, acceptor)
    acceptor.receive(bytes(40))
    assert code(acceptor) is Code.UNAUTHORISED and opened.tries == TRIES


def test_who_paired_first_is_the_only_one() -> None:
    """Two know the code and shake hands at the same time."""
    opened, hub = window(), gateway(1)
    pairs = []
    for number in (2, 3):
        till = Device(number)
        pairs.append((
            till.session(till.calling(pairing=by_code(CODE))), hub.session(hub.accepting(opened)),
        ))  # fmt: skip
    for caller, acceptor in pairs:
        for message in sent(caller):
            acceptor.receive(message)
    for ends in pairs:
        talk(*ends)
    assert [acceptor.state for _, acceptor in pairs] == [State.OPEN, State.CLOSED]


def test_the_id_of_another_device_is_not_given_away() -> None:
    hub, thief = gateway(1), Device(2)
    opened = window()
    side = hub.accepting(opened, {thief.peer: bytes(32)})
    ends = thief.session(thief.calling(pairing=by_code())), hub.session(side)
    talk(*ends)
    assert told(ends[0]) == Code.UNAUTHORISED and opened.state(0.0) is WindowState.OPEN


def test_a_member_may_not_use_a_pairing_handshake_as_a_member() -> None:
    hub, opened = gateway(1), window()
    till = paired(hub, 2)
    side = till.calling(pairing=by_code())
    ends = till.session(side), hub.session(hub.accepting(opened))
    side.auth = lambda: m.Auth(*till.of.shown)  # type: ignore[method-assign]
    talk(*ends)
    assert told(ends[0]) == Code.UNAUTHORISED and opened.state(0.0) is WindowState.OPEN


def test_a_ticket_of_another_gateway_or_store_is_not_taken() -> None:
    hub, other = gateway(1), gateway(2, OTHER_ROOT)
    for issuer, secret, expected in (
        (gateway(3), by_code(), "another gateway"),
        (other, by_qr(hub), "another store"),
    ):
        till = Device(2)
        side = till.calling(pairing=secret)
        ends = till.session(side), hub.session(hub.accepting(window()))
        while not side.channel.sealed:
            for one, two in (ends, ends[::-1]):
                for message in sent(one):
                    two.receive(message)
        credential = issuer.of.issue(till.keys.noise.public, till.peer, "x", MENU, bytes(16))
        with pytest.raises(PeerError, match=expected):
            side.take(m.Ticket(credential, issuer.of.root_public))


def test_who_is_paired_again_keeps_what_it_heard_of_the_store() -> None:
    hub = gateway(1)
    till = paired(hub, 2)
    till.of.revocations.add(hub.of.revocation(bytes([7]) * 16))
    ends = (
        till.session(till.calling(pairing=by_code())),
        hub.session(hub.accepting(window())),
    )
    events, _ = talk(*ends)
    gained = next(event for event in events if isinstance(event, MembershipGained))
    assert gained.membership.revocations is till.of.revocations


def test_revocations_are_exchanged_when_a_link_opens() -> None:
    hub, other = gateway(1), gateway(2)
    till = paired(hub, 3)
    entry = hub.of.revocation(bytes([7]) * 16)
    till.of.revocations.add(entry)
    one, two = till.session(till.calling()), other.session(other.accepting())
    _, heard = talk(one, two)
    assert RevocationsHeard((entry,)) in heard
    assert other.of.revocations.digest() == till.of.revocations.digest()
    back = linked(hub, other)
    assert back[0].state is State.OPEN
    assert hub.of.revocations.digest() == till.of.revocations.digest()
    # Passed on when it is new, and heard once.
    later = other.of.revocation(bytes([8]) * 16)
    two.revoked([later, later])
    events, _ = talk(one, two)
    assert events == [RevocationsHeard((later,))]
    # A second digest is not answered.
    one._put(m.Digest(bytes(16)))
    for message in sent(one):
        two.receive(message)
    assert sent(two) == [] and two.state is State.OPEN


def test_a_revocation_that_is_not_of_the_store_closes() -> None:
    one, two = linked(gateway(1), gateway(2))
    one._put(m.Revoked(gateway(3, OTHER_ROOT).of.revocation(bytes(16))))
    talk(one, two)
    assert told(one) == Code.OTHER_STORE


def test_what_one_signer_has_too_many_of_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.core.revocations.MAX_ENTRIES", 1)
    hub, other = gateway(1), gateway(2)
    one, two = linked(hub, other)
    for number in (7, 8):
        one._put(m.Revoked(hub.of.revocation(bytes([number]) * 16)))
    _, events = talk(one, two)
    assert [len(event.entries) for event in events if isinstance(event, RevocationsHeard)] == [1]
    assert two.state is State.OPEN


def test_who_was_revoked_is_told_so() -> None:
    hub = gateway(1)
    till = paired(hub, 2)
    hub.of.revocations.add(hub.of.revocation(till.peer))
    caller, acceptor = linked(till, hub)
    assert told(caller) == code(acceptor) == Code.REVOKED
    again = paired(hub, 2)
    assert linked(again, hub)[0].state is State.OPEN


def test_a_caller_leaves_a_gateway_that_was_revoked() -> None:
    hub, stolen = gateway(1), gateway(2)
    till = paired(hub, 3)
    till.of.revocations.add(hub.of.revocation(stolen.peer))
    caller, _ = linked(till, stolen)
    assert code(caller) is Code.REVOKED


def test_a_session_in_the_open_knows_nothing_of_revocations() -> None:
    session = MeshSession(LocalPeer(bytes(16), 0, ()), lambda method, credential: (), "", 0.0)
    hello = m.Hello(1, 1, bytes([1]) * 16, 0, MESSAGE_BYTES)
    session.receive(bare(hello, m.Auth(0, b"")))
    before = len(session.outbox.records)
    session.receive(bare(m.Revoked(b"x"), m.Digest(bytes(16))))
    session.revoked([b"x"])
    assert session.state is State.OPEN and len(session.outbox.records) == before
    assert session.receive(bytes(MESSAGE_BYTES + 1)) == []
    assert code(session) is Code.TOO_BIG


def test_noise_without_a_layer_does_not_belong_here() -> None:
    session = MeshSession(LocalPeer(bytes(16), 0, ()), lambda method, credential: (), "", 0.0)
    session.receive(bare(m.Noise(3, bytes(32))))
    assert code(session) is Code.MALFORMED


def test_the_version_is_told_over_a_sealed_link() -> None:
    hub = gateway(1)
    till = paired(hub, 2)
    caller, acceptor = till.session(till.calling()), hub.session(hub.accepting())
    caller._greet = lambda: caller._put(  # type: ignore[method-assign]
        m.Hello(9, 9, till.peer, 0, MESSAGE_BYTES)
    )
    talk(caller, acceptor)
    assert told(caller) == code(acceptor) == Code.VERSION


def test_what_a_device_asks_for_is_read_strictly() -> None:
    _, caller, acceptor = pairing(by_code(), window())
    assert caller._entrance is not None
    caller._entrance._request = PairRequest("", "x", bytes(32)).encode()
    talk(caller, acceptor)
    assert told(caller) == Code.MALFORMED
