"""The floor: a relay that does nothing but pass frames on, one write a client and loop turn.

``python -m tests.bench.rivals.floor PORT FOLDER``. It reads, checks, keeps and stores
nothing, so it shows what picows, uvloop and the load generator can do at most.
"""

import asyncio
import sys
from typing import ClassVar

import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

READ_BUFFER_BYTES = 2_048
# An empty document: sync step 2 with an update of no structs and no deletions.
NOTHING = b"\x00\x01\x02\x00\x00"


class Client(WSListener):
    """One connection; ``rooms`` and ``waiting`` are shared by all."""

    rooms: ClassVar[dict[bytes, set["Client"]]] = {}
    waiting: ClassVar[set["Client"]] = set()

    def __init__(self, path: bytes) -> None:
        self._room = self.rooms.setdefault(path, set())
        self._frames: list[bytes] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        """picows: the handshake is done."""
        self._transport = transport
        self._room.add(self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """picows: the connection is gone."""
        self._room.discard(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """picows: a frame arrived."""
        if frame.msg_type != WSMsgType.BINARY:
            return
        message = frame.get_payload_as_bytes()
        if message.startswith(b"\x00\x00"):
            transport.send(WSMsgType.BINARY, NOTHING)
            return
        if not self.waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        data = bytes([0x82, len(message)]) + message
        for other in self._room:
            if other is not self:
                other._frames.append(data)
                self.waiting.add(other)

    def _flush(self) -> None:
        for client in self.waiting:
            client._transport.underlying_transport.write(b"".join(client._frames))
            client._frames.clear()
        self.waiting.clear()


def route(request: WSUpgradeRequest) -> Client:
    """The room is the path."""
    return Client(request.path)


async def serve(port: int) -> None:
    """Serve until killed."""
    server = await ws_create_server(
        route, "127.0.0.1", port, read_buffer_init_size=READ_BUFFER_BYTES, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
