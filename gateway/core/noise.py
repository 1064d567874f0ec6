"""Handshakes of the Noise Protocol Framework, revision 34, for the secure layer of a link.

Of the framework only what docs/protocol.md ("Secure layer") uses: four patterns, all
``25519_ChaChaPoly_SHA256``. Pure: the caller gives the keys, the ephemeral pair among them.
"""

from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto

from gateway.core.errors import Code, PeerError
from gateway.core.noise_state import SymmetricState
from gateway.core.noise_transport import MAX_NOISE_BYTES, Transport
from gateway.core.primitives import KEY_BYTES, TAG_BYTES, KeyPair

PROLOGUE = b"store-gateway/1"


class Pattern(IntEnum):
    """What both sides know beforehand; the number is that of the NOISE record."""

    # The initiator knows the responder's static key: paired peers.
    IK = 0
    # The same, and both know a secret of one use: a scanned QR code.
    IKPSK2 = 1
    # Both know the secret only: a typed code.
    XXPSK0 = 2
    # Neither knows anything: members of one store, who show what they are afterwards.
    XX = 3


class Token(Enum):
    """A step of a handshake message (section 7.1)."""

    E = auto()
    S = auto()
    EE = auto()
    ES = auto()
    SE = auto()
    SS = auto()
    PSK = auto()


class _State(Enum):
    WRITING = auto()
    READING = auto()
    DONE = auto()
    # Split, or failed: there is nothing to be done with it any more.
    OVER = auto()


@dataclass(frozen=True, slots=True)
class _Shape:
    """``known``: the initiator has the responder's static key from the beginning."""

    name: bytes
    known: bool
    messages: tuple[tuple[Token, ...], ...]

    @property
    def has_psk(self) -> bool:
        return any(Token.PSK in tokens for tokens in self.messages)


# Sections 7.5 and 9.4, as they stand there: the initiator writes the first message.
_E, _S, _EE, _ES, _SE, _SS, _PSK = Token
_SHAPES = {
    Pattern.IK: _Shape(b"IK", True, ((_E, _ES, _S, _SS), (_E, _EE, _SE))),
    Pattern.IKPSK2: _Shape(b"IKpsk2", True, ((_E, _ES, _S, _SS), (_E, _EE, _SE, _PSK))),
    Pattern.XXPSK0: _Shape(b"XXpsk0", False, ((_PSK, _E), (_E, _EE, _S, _ES), (_S, _SE))),
    Pattern.XX: _Shape(b"XX", False, ((_E,), (_E, _EE, _S, _ES), (_S, _SE))),
}
# Whose keys meet: the initiator's, the responder's.
_EXCHANGES = {_EE: (_E, _E), _ES: (_E, _S), _SE: (_S, _E), _SS: (_S, _S)}


def known_pattern(number: int) -> Pattern:
    """The pattern of a NOISE record. Raises ``PeerError`` for a number not known here."""
    try:
        return Pattern(number)
    except ValueError:
        raise PeerError(Code.VERSION, "a handshake pattern that is not known here") from None


def prologue(pattern: Pattern) -> bytes:
    """What both sides of a link put before a handshake of this pattern."""
    return PROLOGUE + bytes([pattern])


@dataclass(frozen=True, slots=True)
class Secrets:
    """What one side brings to one handshake.

    ``ephemeral`` is drawn for this handshake and never used again. ``remote_static`` is the
    responder's public key, which an initiator needs where the pattern says that it knows it.
    ``psk`` are the 32 bytes of the patterns that have one.
    """

    static: KeyPair
    ephemeral: KeyPair
    remote_static: bytes | None = None
    psk: bytes | None = field(default=None, repr=False)


class Handshake:
    """One side of a handshake, used once: ``write`` and ``read`` in turn, then ``split``.

    What the peer does wrong raises ``PeerError``: 4400 for the structure, 4401 for bytes
    that do not authenticate. After any error, and after a call out of turn
    (``RuntimeError``), the handshake is unusable.

    The first payload of IK may be a replay, and in IKpsk2 nothing the responder reads proves
    that the peer knows the secret: until the first message of the transport was opened nothing
    may be granted.
    """

    def __init__(
        self, pattern: Pattern, initiator: bool, secrets: Secrets, prologue: bytes
    ) -> None:
        shape = _SHAPES[pattern]
        _check_secrets(shape, initiator, secrets)
        self._messages = shape.messages
        self._has_psk = shape.has_psk
        self._psk = secrets.psk or b""
        self._initiator = initiator
        self._ours = {_E: secrets.ephemeral, _S: secrets.static}
        self._theirs: dict[Token, bytes] = {}
        self._symmetric = SymmetricState(b"Noise_%b_25519_ChaChaPoly_SHA256" % shape.name)
        self._symmetric.mix_hash(prologue)
        if shape.known:
            if secrets.remote_static is not None:
                self._theirs[_S] = secrets.remote_static
            self._symmetric.mix_hash(secrets.remote_static or secrets.static.public)
        self._past = 0
        self._state = self._turn()

    @property
    def done(self) -> bool:
        """Whether all messages were written and read, and ``split`` is next."""
        return self._state is _State.DONE

    @property
    def is_writing(self) -> bool:
        """Whether ``write`` is next."""
        return self._state is _State.WRITING

    @property
    def remote_static(self) -> bytes | None:
        """The peer's static public key as soon as it is known; proven once done."""
        return self._theirs.get(_S)

    @property
    def handshake_hash(self) -> bytes:
        """What this handshake has that no other has, the same on both sides once done."""
        return self._symmetric.hash

    def write(self, payload: bytes = b"") -> bytes:
        """The next message. In the first of IK the payload is not protected from replay."""
        self._begin(_State.WRITING)
        parts = [self._write(token) for token in self._messages[self._past]]
        message = b"".join([*parts, self._symmetric.encrypt_and_hash(payload)])
        if len(message) > MAX_NOISE_BYTES:
            raise ValueError(f"a payload of {len(payload)} bytes is too long")
        self._finish()
        return message

    def read(self, message: bytes) -> bytes:
        """The payload of the peer's next message."""
        self._begin(_State.READING)
        if len(message) > MAX_NOISE_BYTES:
            raise PeerError(Code.TOO_BIG, "a handshake message that is too long")
        for token in self._messages[self._past]:
            message = self._read(token, message)
        if self._symmetric.has_key:
            _cut(message, TAG_BYTES)
        payload = self._symmetric.decrypt_and_hash(message)
        self._finish()
        return payload

    def split(self) -> Transport:
        """What protects the link from now on; the handshake is over."""
        self._begin(_State.DONE)
        first, second = self._symmetric.split()
        return Transport(first, second) if self._initiator else Transport(second, first)

    def _begin(self, state: _State) -> None:
        # Over, unless what begins here comes to its end.
        now, self._state = self._state, _State.OVER
        if now is not state:
            raise RuntimeError(f"a handshake that is {now.name} cannot be {state.name}")

    def _finish(self) -> None:
        self._past += 1
        self._state = self._turn()

    def _turn(self) -> _State:
        if self._past == len(self._messages):
            return _State.DONE
        return _State.WRITING if self._initiator is (self._past % 2 == 0) else _State.READING

    def _write(self, token: Token) -> bytes:
        match token:
            case Token.E:
                return self._take_ephemeral(self._ours[_E].public)
            case Token.S:
                return self._symmetric.encrypt_and_hash(self._ours[_S].public)
        self._mix(token)
        return b""

    def _read(self, token: Token, message: bytes) -> bytes:
        """Take a token off the front of a message."""
        match token:
            case Token.E:
                key, rest = _cut(message, KEY_BYTES)
                self._theirs[_E] = self._take_ephemeral(key)
                return rest
            case Token.S:
                key, rest = _cut(message, KEY_BYTES + TAG_BYTES)
                self._theirs[_S] = self._symmetric.decrypt_and_hash(key)
                return rest
        self._mix(token)
        return message

    def _take_ephemeral(self, key: bytes) -> bytes:
        self._symmetric.mix_hash(key)
        # Section 9.2: with a pre-shared key ephemeral keys are what makes each key new.
        if self._has_psk:
            self._symmetric.mix_key(key)
        return key

    def _mix(self, token: Token) -> None:
        if token is Token.PSK:
            self._symmetric.mix_key_and_hash(self._psk)
            return
        one, other = _EXCHANGES[token]
        ours, theirs = (one, other) if self._initiator else (other, one)
        self._symmetric.mix_key(self._ours[ours].exchange(self._theirs[theirs]))


def _check_secrets(shape: _Shape, initiator: bool, secrets: Secrets) -> None:
    """Refuse what the pattern has no use for, and the lack of what it needs."""
    for name, value, needed in (
        ("remote static key", secrets.remote_static, shape.known and initiator),
        ("pre-shared key", secrets.psk, shape.has_psk),
    ):
        if (value is None) is needed or (value is not None and len(value) != KEY_BYTES):
            raise ValueError(f"{shape.name.decode()}: {name}: {KEY_BYTES} bytes or none")


def _cut(message: bytes, size: int) -> tuple[bytes, bytes]:
    if len(message) < size:
        raise PeerError(Code.MALFORMED, "a handshake message that is cut off")
    return message[:size], message[size:]
