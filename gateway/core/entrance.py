"""How two members of a store let each other in over a sealed link.

``Accepting`` and ``Calling`` are the two sides, one object a link: the Noise layer, what is
shown, and what is asked of the other. docs/protocol.md sections 3 and 10. Pure.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.core import messages as m
from gateway.core.certificates import check_store, store_id
from gateway.core.channel import Channel
from gateway.core.errors import Code, PeerError
from gateway.core.membership import Admitted, Keys, Membership
from gateway.core.noise import Pattern, Secrets
from gateway.core.pairing import PairingWindow, PairRequest, WindowState, read_request
from gateway.core.primitives import KeyPair
from gateway.core.revocations import Revocations
from gateway.core.tickets import verify_issued

# What a person reads who mistyped; the caller learns no more by it than by the code 4401.
WRONG_CODE = "the pairing code is wrong: compare it with what the gateway shows"
PAIRING = frozenset({Pattern.IKPSK2, Pattern.XXPSK0})


@dataclass(frozen=True, slots=True)
class Device:
    """A device that was paired here, or was given a token; then the last fields are empty.

    All its rights are of ``epoch``.
    """

    peer: bytes
    name: str
    role: str
    grants: m.Grants
    noise_key: bytes
    signing_key: bytes
    credential: bytes
    epoch: int


class Accepting:
    """The side that was called.

    ``ephemeral`` and ``ticket_id`` are drawn for this link; ``taken`` are the peer ids that
    belong to devices already, and their static keys; ``now`` is the time of ``window``.
    """

    calling = False

    def __init__(
        self,
        membership: Membership,
        ephemeral: KeyPair,
        ticket_id: bytes,
        window: PairingWindow | None,
        taken: Mapping[bytes, bytes],
        now: Callable[[], float],
    ) -> None:
        self.membership = membership
        self.channel = Channel(self._secrets)
        # Who was paired over this link.
        self.device: Device | None = None
        self._ephemeral = ephemeral
        self._ticket_id = ticket_id
        self._window = window
        self._taken = taken
        self._now = now
        self._proved = False

    def step(self, record: m.Noise) -> list[m.Noise]:
        """See ``Channel``. A handshake that does not authenticate is a try of the window."""
        with self._counted():
            return self.channel.step(record)

    def open(self, message: bytes) -> bytes:
        """See ``Channel``. In IKpsk2 the first message proves that the secret is known."""
        with self._counted():
            batch = self.channel.open(message)
        self._proved = True
        return batch

    def admit(self, auth: m.Auth, peer: bytes) -> tuple[Admitted, list[m.Record]]:
        """Who the caller is, and what it is sent before its GRANT. Raises ``PeerError``."""
        pairing = self.channel.pattern in PAIRING
        if pairing is not (auth.method == m.AUTH_PAIR):
            raise PeerError(Code.UNAUTHORISED, "a pairing code is for pairing, and nothing else")
        shown = m.Member(*self.membership.shown)
        if not pairing:
            static = self.channel.remote_static
            return self.membership.admit(auth.method, auth.credential, static, peer), [shown]
        device = self._pair(read_request(auth.credential), peer)
        admitted = self.membership.admit(m.AUTH_TICKET, device.credential, device.noise_key, peer)
        self.device = device
        return admitted, [m.Ticket(device.credential, self.membership.root_public), shown]

    def _pair(self, request: PairRequest, peer: bytes) -> Device:
        assert self._window is not None
        window, static = self._window, self.channel.remote_static
        if self._taken.get(peer, static) != static:
            raise PeerError(Code.UNAUTHORISED, "another device has this id: revoke that one first")
        window.use(self._now())
        credential = self.membership.issue(
            static, peer, window.role, window.grants, self._ticket_id
        )  # fmt: skip
        return Device(
            peer, request.name, window.role, window.grants, static, request.signing_key, credential,
            self.membership.revocations.lowest_epoch(peer),
        )  # fmt: skip

    def _secrets(self, pattern: Pattern) -> Secrets:
        psk = None
        if pattern in PAIRING:
            if self._window is None:
                raise PeerError(
                    Code.UNAUTHORISED, "no pairing is open: ask for a new code at the gateway"
                )
            psk = self._window.psk(pattern, self._now())
        return Secrets(self.membership.keys.noise, self._ephemeral, None, psk)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except PeerError as error:
            guess = error.code is Code.UNAUTHORISED and self.channel.pattern in PAIRING
            if guess and not self._proved and self._window is not None:
                is_open = self._window.state(self._now()) is WindowState.OPEN
                self._window.failed()
                if is_open:
                    raise PeerError(Code.UNAUTHORISED, WRONG_CODE) from error
            raise


@dataclass(frozen=True, slots=True)
class PairingSecret:
    """What a device was given to be paired with; ``static`` and ``store`` by a QR code only."""

    psk: bytes = field(repr=False)
    static: bytes | None = None
    store: bytes | None = None


class Calling:
    """The side that calls: as a member, or to become one (``pairing`` and ``request``).

    ``remote_static`` is the acceptor's key where it is known.
    """

    calling = True

    def __init__(
        self,
        peer: bytes,
        keys: Keys,
        ephemeral: KeyPair,
        membership: Membership | None,
        remote_static: bytes | None = None,
        pairing: PairingSecret | None = None,
        request: bytes = b"",
    ) -> None:
        self.membership = membership
        # Whether the acceptor proved that it is of our store.
        self.met = False
        self._peer = peer
        self._keys = keys
        self._ephemeral = ephemeral
        self._remote = pairing.static if pairing else remote_static
        self._pairing = pairing
        self._request = request
        if pairing is None:
            pattern = Pattern.XX if remote_static is None else Pattern.IK
        else:
            pattern = Pattern.XXPSK0 if pairing.static is None else Pattern.IKPSK2
        self.channel = Channel(self._secrets, pattern)

    def step(self, record: m.Noise) -> list[m.Noise]:
        """See ``Channel``."""
        return self.channel.step(record)

    def open(self, message: bytes) -> bytes:
        """See ``Channel``."""
        return self.channel.open(message)

    def auth(self) -> m.Auth:
        """What we show to be let in."""
        if self._pairing is not None:
            return m.Auth(m.AUTH_PAIR, self._request)
        assert self.membership is not None
        return m.Auth(*self.membership.shown)

    def take(self, ticket: m.Ticket) -> Membership:
        """What we are from now on. Raises ``PeerError`` for a ticket nobody can use."""
        if self._pairing is None:
            raise PeerError(Code.MALFORMED, "TICKET does not belong here")
        store = store_id(ticket.root)
        check_store(store, self._pairing.store or store)
        _, issuer = verify_issued(ticket.credential, ticket.root, self._keys.noise.public)
        if issuer.noise_key != self.channel.remote_static:
            raise PeerError(Code.UNAUTHORISED, "the ticket was issued by another gateway")
        known = self.membership
        heard = known.revocations if known and known.root_public == ticket.root else None
        self.membership = Membership(
            self._peer, self._keys, ticket.root, m.AUTH_TICKET, ticket.credential,
            heard or Revocations(ticket.root),
        )  # fmt: skip
        return self.membership

    def meet(self, shown: m.Member, peer: bytes) -> Admitted:
        """Who answered. Raises ``PeerError`` if it is not of our store."""
        if self.membership is None:
            raise PeerError(Code.MALFORMED, "MEMBER before TICKET")
        static = self.channel.remote_static
        admitted = self.membership.admit(shown.method, shown.credential, static, peer)
        self.met = True
        return admitted

    def _secrets(self, pattern: Pattern) -> Secrets:
        psk = self._pairing.psk if self._pairing else None
        return Secrets(self._keys.noise, self._ephemeral, self._remote, psk)


Entrance = Accepting | Calling
