"""Members of a store, and sealed sessions between them over a fake link."""

from collections.abc import Callable
from hashlib import sha256

from gateway.core import messages as m
from gateway.core.entrance import Accepting, Calling, PairingSecret
from gateway.core.events import Event
from gateway.core.handshake import LocalPeer
from gateway.core.membership import Keys, Membership, found
from gateway.core.mesh_session import MeshSession
from gateway.core.outbox import Answer
from gateway.core.pairing import PairingWindow, PairRequest
from gateway.core.pairing_code import pairing_psk
from gateway.core.primitives import KeyPair, public_of
from gateway.core.revocations import Revocations
from tests.core.sessions import Given

ROOT = sha256(b"a store").digest()
OTHER_ROOT = sha256(b"another store").digest()
EVERYTHING: m.Grants = (("*", 3),)
SECRET = sha256(b"in the QR code").digest()
CODE = "01234-56789-ABCDE-FGHJK"
_numbers = iter(range(1 << 30))


def fresh(label: str = "") -> bytes:
    """32 bytes nobody had before, the same in each run of one test alone."""
    return sha256(f"{label} {next(_numbers)}".encode()).digest()


class Device:
    """A device with keys; ``membership`` is None until it is a member."""

    def __init__(self, number: int) -> None:
        self.peer = bytes([number]) * 16
        self.keys = Keys(fresh("noise"), fresh("sign"))
        self.membership: Membership | None = None

    @property
    def of(self) -> Membership:
        """Its membership."""
        assert self.membership is not None
        return self.membership

    def calling(self, static: bytes | None = None, pairing: PairingSecret | None = None) -> Calling:
        """To call somebody."""
        request = PairRequest("Till", "owner", self.keys.signing_public).encode()
        ephemeral = KeyPair(fresh("e"))
        return Calling(
            self.peer, self.keys, ephemeral, self.membership, static, pairing, request
        )  # fmt: skip

    def accepting(
        self,
        window: PairingWindow | None = None,
        taken: dict[bytes, bytes] | None = None,
        now: Callable[[], float] = lambda: 0.0,
    ) -> Accepting:
        """To be called."""
        ticket_id = fresh("ticket")[:16]
        return Accepting(self.of, KeyPair(fresh("e")), ticket_id, window, taken or {}, now)

    def session(self, side: Calling | Accepting) -> MeshSession:
        """A session of ours."""
        return MeshSession(LocalPeer(self.peer, m.FEATURE_SAVES, ()), side, "there", 0.0)


def gateway(number: int, root: bytes = ROOT, epoch: int = 0) -> Device:
    """A gateway of the store of this root key."""
    device = Device(number)
    certificate = found(root, device.peer, device.keys, fresh("serial")[:8], epoch)
    root_public = public_of(root)
    device.membership = Membership(
        device.peer, device.keys, root_public, m.AUTH_CERTIFICATE, certificate,
        Revocations(root_public),
    )  # fmt: skip
    return device


def paired(by: Device, number: int, grants: m.Grants = EVERYTHING) -> Device:
    """A device to which a gateway gave a ticket."""
    device = Device(number)
    credential = by.of.issue(
        device.keys.noise.public, device.peer, "till", grants, fresh("id")[:16]
    )  # fmt: skip
    root = by.of.root_public
    device.membership = Membership(
        device.peer, device.keys, root, m.AUTH_TICKET, credential, Revocations(root)
    )  # fmt: skip
    return device


def window(until: float = 600.0, grants: m.Grants = EVERYTHING) -> PairingWindow:
    """A pairing that is open."""
    return PairingWindow(SECRET, CODE, "device", grants, until)


def by_code(code: str = CODE) -> PairingSecret:
    """What somebody typed."""
    return PairingSecret(pairing_psk(code))


def by_qr(gateway: Device, secret: bytes = SECRET) -> PairingSecret:
    """What somebody scanned."""
    return PairingSecret(secret, gateway.keys.noise.public, gateway.of.store)


def sent(session: MeshSession) -> list[bytes]:
    """Its link messages."""
    return session.data_to_send(Given(Answer((b"\x00\x00",), bytes(16))))


def talk(one: MeshSession, other: MeshSession) -> tuple[list[Event], list[Event]]:
    """Deliver all messages until nobody has more to say; the events of both."""
    events: tuple[list[Event], list[Event]] = ([], [])
    while messages := [(0, sent(other)), (1, sent(one))]:
        if not any(batch for _, batch in messages):
            return events
        for to, batch in messages:
            for message in batch:
                events[to].extend((one, other)[to].receive(message))
    raise AssertionError


def linked(
    caller: Device, acceptor: Device, static: bytes | None = None
) -> tuple[MeshSession, MeshSession]:
    """Both ends of a link after the two let each other in, or did not."""
    ends = caller.session(caller.calling(static)), acceptor.session(acceptor.accepting())
    talk(*ends)
    return ends
