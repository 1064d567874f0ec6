"""A blocking client of a claimed gateway: a member of its store over a sealed link.

Its ticket is signed with the key in the gateway's folder, so nobody has to pair it.
"""

import os
import select
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.adapters.identity_file import IdentityFolder
from gateway.core import messages as m
from gateway.core.channel import Channel
from gateway.core.entrance import Calling
from gateway.core.framing import MESSAGE_BYTES, batches, frame, records
from gateway.core.membership import Keys, Membership
from gateway.core.primitives import KEY_BYTES, KeyPair
from gateway.core.revocations import Revocations
from gateway.core.tickets import EVERYTHING, READ, WRITE
from gateway.runtime.identity import Identity
from tests.support.raw import Closed, RawClient

GREETING = frozenset({m.Hello, m.Member, m.Digest})


class Member:
    """A device of the store of the gateway in ``folder``; ``number`` makes its peer id."""

    def __init__(self, folder: Path, number: int, role: str = "till") -> None:
        kept = Identity(IdentityFolder(folder / "identity"), os.urandom)
        peer = bytes.fromhex((folder / "peer-id").read_text())
        belonging = kept.belonging(peer, kept.keys())
        assert belonging is not None, "the gateway is of no store: claim it first"
        of = belonging.membership
        self.peer = number.to_bytes(16, "big")
        self.keys = Keys(os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))
        self.gateway = of.keys.noise.public
        grants = ((EVERYTHING, READ | WRITE),)
        ticket = of.issue(self.keys.noise.public, self.peer, role, grants, os.urandom(16))
        root = of.root_public
        self.membership = Membership(
            self.peer, self.keys, root, m.AUTH_TICKET, ticket, Revocations(root)
        )

    def calling(self) -> Calling:
        """Its side of one link."""
        ephemeral = KeyPair(os.urandom(KEY_BYTES))
        return Calling(self.peer, self.keys, ephemeral, self.membership, self.gateway)


class SealedClient:
    """Connected and let in. Raises ``Closed`` when it is not, and once the link is gone."""

    def __init__(
        self, port: int, member: Member, features: int = 0, source: str = "127.0.0.1"
    ) -> None:
        try:
            self.raw = RawClient(port, "/mesh", source=source)
        except OSError as error:
            raise Closed(1006, str(error)) from error
        try:
            self._greet(member, features)
        except OSError as error:
            self.close()
            raise Closed(1006, str(error)) from error
        except BaseException:
            self.close()
            raise

    def say(self, *spoken: m.Record) -> None:
        """Send records, in one message if they fit."""
        try:
            for batch in batches([frame(m.encode(record)) for record in spoken], MESSAGE_BYTES):
                self.raw.send(self._channel.seal(batch))
        except OSError as error:
            raise Closed(1006, str(error)) from error

    def hear(self) -> list[m.Record]:
        """The records of the next message."""
        try:
            message = self.raw.recv()
        except OSError as error:
            raise Closed(1006, str(error)) from error
        return _records(self._channel.open(message))

    def heard(self, seconds: float = 0.0) -> Iterator[m.Record]:
        """Records that are here by now, or within some seconds."""
        while self.raw.waiting or select.select([self.raw.socket], [], [], seconds)[0]:
            yield from self.hear()
            seconds = 0.0

    def close(self) -> None:
        """Let go of the link without a word."""
        self.raw.socket.close()

    def _greet(self, member: Member, features: int) -> None:
        side = member.calling()
        self._channel: Channel = side.channel
        self.raw.send(frame(m.encode(self._channel.call())))
        (answer,) = _records(self.raw.recv())
        if isinstance(answer, m.Goodbye):
            raise Closed(answer.code, answer.reason)
        assert isinstance(answer, m.Noise), answer
        assert not self._channel.step(answer) and self._channel.sealed
        self.say(m.Hello(1, 1, member.peer, features, MESSAGE_BYTES), side.auth())
        while True:
            for record in self.hear():
                if isinstance(record, m.Grant):
                    return
                if isinstance(record, m.Goodbye):
                    raise Closed(record.code, record.reason)
                assert type(record) in GREETING, record


def _records(batch: bytes) -> list[m.Record]:
    found: Sequence[m.Record | None] = [m.decode(record) for record in records(batch)]
    return [record for record in found if record is not None]
