"""The Noise layer of one link: handshake messages as NOISE records, then sealed batches.

docs/protocol.md, "Secure layer". Pure: whoever makes a channel gives its secrets, the
ephemeral key pair among them.
"""

from collections.abc import Callable

from gateway.core.errors import Code, PeerError
from gateway.core.messages import Noise
from gateway.core.noise import Handshake, Pattern, Secrets, known_pattern, prologue
from gateway.core.noise_transport import Transport

# The secrets for a pattern that a caller chose. Raises ``PeerError`` if it is not to be had.
SecretsFor = Callable[[Pattern], Secrets]


class Channel:
    """One side of one link, used once. The caller chooses the pattern.

    The peer's mistakes raise ``PeerError``; after one the channel is unusable.
    """

    def __init__(self, secrets: SecretsFor, pattern: Pattern | None = None) -> None:
        """``pattern`` is the caller's; the acceptor has none before the first message."""
        self.pattern = pattern
        self._secrets = secrets
        self._handshake: Handshake | None = None
        self._transport: Transport | None = None
        self._remote: bytes | None = None

    @property
    def sealed(self) -> bool:
        """Whether the handshake is complete, and everything is sealed from now on."""
        return self._transport is not None

    @property
    def remote_static(self) -> bytes:
        """The static key that the peer proved; only once sealed."""
        assert self._remote is not None
        return self._remote

    def call(self) -> Noise:
        """The caller's first handshake message."""
        assert self.pattern is not None
        self._begin(self.pattern, initiator=True)
        return self._write()

    def step(self, record: Noise) -> list[Noise]:
        """Take the peer's next handshake message; what to answer, if anything."""
        pattern = known_pattern(record.pattern)
        if self._handshake is None:
            self.pattern = pattern
            self._begin(pattern, initiator=False)
        if pattern is not self.pattern:
            raise PeerError(Code.MALFORMED, "a handshake that changes its pattern")
        assert self._handshake is not None
        self._handshake.read(record.message)
        answers = [] if self._handshake.done else [self._write()]
        if self._handshake.done:
            self._remote = self._handshake.remote_static
            self._transport = self._handshake.split()
        return answers

    def seal(self, batch: bytes) -> bytes:
        """The link message of a batch; only once sealed."""
        assert self._transport is not None
        return self._transport.seal(batch)

    def open(self, message: bytes) -> bytes:
        """The batch of a link message; only once sealed."""
        assert self._transport is not None
        return self._transport.open(message)

    def _begin(self, pattern: Pattern, *, initiator: bool) -> None:
        self._handshake = Handshake(pattern, initiator, self._secrets(pattern), prologue(pattern))

    def _write(self) -> Noise:
        assert self._handshake is not None
        assert self.pattern is not None
        return Noise(self.pattern, self._handshake.write())
