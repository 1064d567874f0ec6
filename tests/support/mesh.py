"""A blocking mesh client for tests: says records, hears records."""

from collections.abc import Sequence

from gateway.core import messages as m
from gateway.core.framing import batches, frame, records
from tests.support.raw import RawClient

PEER = bytes(range(16))


class MeshClient:
    """Connected and let in; ``opened`` maps the gateway's handles to documents."""

    def __init__(self, port: int, peer: bytes = PEER) -> None:
        self.raw = RawClient(port, "/mesh")
        self.heard: list[m.Record] = []
        self.say(m.Hello(1, 1, peer, 0, 262_144), m.Auth(m.AUTH_NONE, b""))
        self.hear(m.Grant)

    def say(self, *spoken: m.Record) -> None:
        """Send records in one message."""
        for message in batches([frame(m.encode(record)) for record in spoken], 262_144):
            self.raw.send(message)

    def hear(self, *kinds: type[m.Record]) -> m.Record:
        """The next record of one of these kinds; others are kept in ``heard``."""
        while True:
            for index, record in enumerate(self.heard):
                if type(record) in kinds:
                    del self.heard[: index + 1]
                    return record
            self.heard = self._more()

    def _more(self) -> list[m.Record]:
        found: Sequence[m.Record | None] = [m.decode(r) for r in records(self.raw.recv())]
        return [record for record in found if record is not None]

    def close(self) -> None:
        """Let go of the link without a word."""
        self.raw.socket.close()
