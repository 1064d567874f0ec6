"""This device among the members of its store: whom it lets in, whom it calls, who is shut out.

What it is and whom it paired is on the disk before anybody is told; who was revoked is shut
out at once. The files are small and change a few times a day, so they are written in the loop.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256

from gateway.core.certificates import store_hint
from gateway.core.entrance import Accepting, Calling, Device, PairingSecret
from gateway.core.errors import Code, GatewayError, PeerError
from gateway.core.events import DevicePaired, MemberEvent, MembershipGained, RevocationsHeard
from gateway.core.membership import Admitted, Keys, Membership
from gateway.core.pairing import PairingWindow, PairRequest
from gateway.core.primitives import KEY_BYTES, KeyPair
from gateway.core.session import Session, State
from gateway.ports import Clock
from gateway.runtime.identity import Belonging, Identity
from gateway.runtime.perform import Performer

TICKET_ID_BYTES = 16
# What is asked for; the gateway's window decides.
ROLE = "device"
# Acceptors whose keys are remembered, the longest uncalled go first.
MOST_CALLED = 256
SHUT_OUT = "this device was shut out: ask the store to pair it again"
CLAIMED = "this gateway belongs to a store now: pair first"

log = logging.getLogger("gateway")


class Members:
    """``pairing`` is what this device was given to be paired with, ``name`` what it is called."""

    def __init__(
        self,
        peer: bytes,
        identity: Identity,
        clock: Clock,
        draw: Callable[[int], bytes],
        name: str,
        pairing: PairingSecret | None = None,
    ) -> None:
        """Raises ``GatewayError`` ``identity-…``."""
        self.peer = peer
        self.identity = identity
        self.draw = draw
        self.now = clock.monotonic
        self.keys: Keys | None = identity.keys()
        self.belonging = identity.belonging(peer, self.keys)
        self.devices = {device.peer: device for device in identity.devices()}
        self.window: PairingWindow | None = None
        # Who was paired by the window, and how each peer was linked last.
        self.paired: Device | None = None
        self.linked: dict[str, str] = {}
        self._name = name
        self._pairing = None if self._is_used(pairing) else pairing
        self._called: dict[str, Calling] = {}
        self._performer: Performer | None = None
        self._on_gained: Callable[[str], None] | None = None
        self._on_revoked: list[Callable[[Iterable[bytes]], None]] = []

    def watch(self, on_revoked: Callable[[Iterable[bytes]], None]) -> None:
        """Who is told of revocations that were not known here."""
        self._on_revoked.append(on_revoked)

    def attach(self, performer: Performer, on_gained: Callable[[str], None]) -> None:
        """Whose sessions these are; before anything below is called.

        ``on_gained(hint)`` is called when this device becomes a member of a store.
        """
        self._performer = performer
        self._on_gained = on_gained

    @property
    def store_hint(self) -> str:
        """What is announced of the store; empty where there is none."""
        return store_hint(self.membership.store).hex() if self.membership else ""

    @property
    def membership(self) -> Membership | None:
        """What this device is in its store, if it is of one."""
        return self.belonging.membership if self.belonging else None

    @property
    def is_open(self) -> bool:
        """Whether this device is of no store, and is not about to be."""
        return self.belonging is None and self._pairing is None

    def accepting(self) -> Accepting:
        """For a link that somebody made. Raises ``PeerError`` while we are not paired."""
        if self.membership is None:
            raise PeerError(Code.UNAUTHORISED, "this device is not paired yet")
        taken = {
            device.peer: device.noise_key
            for device in self.devices.values()
            if not self.is_shut_out(device)
        }
        return Accepting(
            self.membership, KeyPair(self.draw(KEY_BYTES)), self.draw(TICKET_ID_BYTES),
            self.window, taken, self.now,
        )  # fmt: skip

    def calling(self, address: str) -> Calling:
        """For a link that we make; not while ``is_open``."""
        keys = self.keys = self.keys or self.identity.make_keys()
        before = self._called.pop(address, None)
        static = before.channel.remote_static if before is not None and before.met else None
        request = PairRequest(self._name, ROLE, keys.signing_public).encode()
        calling = Calling(
            self.peer, keys, KeyPair(self.draw(KEY_BYTES)), self.membership, static,
            self._pairing, request,
        )  # fmt: skip
        self._called[address] = calling
        if len(self._called) > MOST_CALLED:
            del self._called[next(iter(self._called))]
        return calling

    def token(self, token: str) -> Admitted:
        """Who a token of the plain endpoint names. Raises ``PeerError``."""
        membership = self.membership
        if not token or membership is None or not membership.is_gateway:
            raise PeerError(Code.UNAUTHORISED, "this gateway needs a token")
        return membership.admit_token(token)

    def is_shut_out(self, device: Device) -> bool:
        """Whether a device that was paired here was revoked."""
        membership = self.membership
        if membership is None:
            return False
        return device.epoch < membership.revocations.lowest_epoch(device.peer)

    def heard(self, session: Session, event: MemberEvent) -> None:
        """A session learned something about the store; what cannot be kept does not count."""
        try:
            self._learn(session, event)
        except GatewayError as error:
            log.warning("what a member said cannot be kept: %s", error.sentence)
            if not isinstance(event, RevocationsHeard):
                self._close(session, Code.UNAVAILABLE, "this cannot be kept at the moment")

    def keep(self, device: Device) -> None:
        """Keep a device that was paired."""
        devices = {**self.devices, device.peer: device}
        self.identity.keep_devices(devices.values())
        self.devices = devices

    def gain(self, belonging: Belonging, source: Session | None = None) -> None:
        """Be of a store from now on; strangers that were let in before go."""
        self.identity.keep_belonging(belonging)
        self.belonging = belonging
        self._pairing = None
        assert self._on_gained is not None
        self._on_gained(self.store_hint)
        for session in self.sessions():
            is_stranger = session.member is None and session is not source
            if is_stranger and session.state is not State.NOISE:
                self._close(session, Code.UNAUTHORISED, CLAIMED)

    def spread(self, entries: Iterable[bytes], source: Session | None = None) -> None:
        """Revocations that were not known here: shut out, pass on, keep."""
        membership = self.membership
        assert membership is not None
        for session in self.sessions():
            if session.member is not None and membership.shut_out(session.member):
                self._close(session, Code.REVOKED, SHUT_OUT)
            elif session is not source:
                session.revoked(entries)
                self._wake(session)
        for tell in self._on_revoked:
            tell(entries)
        self.identity.keep_revocations(membership.revocations)

    def links(self) -> Mapping[str, str]:
        """How members are linked at the moment, by peer id."""
        links = {
            session.identity: session.kind
            for session in self.sessions()
            if session.member is not None and session.state is State.OPEN
        }
        self.linked.update(links)
        return links

    def sessions(self) -> list[Session]:
        """All sessions there are."""
        assert self._performer is not None
        return list(self._performer.hub.sessions)

    def _learn(self, session: Session, event: MemberEvent) -> None:
        match event:
            case DevicePaired():
                self.keep(event.device)
                self.paired = event.device
            case MembershipGained():
                began_with = _hash(self._pairing)
                self.gain(Belonging(event.membership, began_with=began_with), session)
            case RevocationsHeard():
                self.spread(event.entries, session)

    def _close(self, session: Session, code: Code, reason: str) -> None:
        session.close(code, reason)
        self._wake(session)

    def _wake(self, session: Session) -> None:
        assert self._performer is not None
        self._performer.wake(session)

    def _is_used(self, pairing: PairingSecret | None) -> bool:
        return self.belonging is not None and self.belonging.began_with == _hash(pairing)


def _hash(pairing: PairingSecret | None) -> str:
    return sha256(pairing.psk).hexdigest() if pairing else ""
