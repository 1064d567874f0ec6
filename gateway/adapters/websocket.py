"""WebSocket links, accepted and called, on picows.

Knows paths, origins and frames, nothing of what the messages mean. A browser page of
another site must not reach a local gateway, so Origin and Host are checked (DNS
rebinding): security.md of the project says why.
"""

import asyncio
import errno
import ipaddress
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_connect,
    ws_create_server,
)

from gateway.core.errors import Code, GatewayError

# picows allocates this much a connection; 2 kB keeps an idle one small and grows on need.
READ_BUFFER_BYTES = 2_048
# Frame and continuation overhead above the largest message.
FRAME_SLACK_BYTES = 64
HANDSHAKE_SECONDS = 5.0
# A silent peer is pinged after this and dropped when it does not answer.
IDLE_SECONDS = 20.0
PONG_SECONDS = 20.0
# The transport holds this much for a peer that does not read, and the kernel so much that it has
# not sent: what waits there cannot be overtaken by what is more urgent.
HIGH_WATER_BYTES = 4_096
NOT_SENT_BYTES = 4_096
# After our close frame a peer gets this long to close its side.
LINGER_SECONDS = 1.0
# RFC 6455 section 5.5: a control frame holds 125 bytes, two of them the code.
CLOSE_REASON_BYTES = 123
# Messages of one peer waiting to be served; then its socket is not read any more.
INBOX_BYTES = 524_288
# What a waiting message costs beside its bytes, so that a flood of tiny ones is held back too.
MESSAGE_OVERHEAD_BYTES = 256
MAX_FRAGMENTS = 4_096
# An address that made more mistakes than this within the time is served late: it comes back
# less often, and who shares it (behind a router, a proxy) is only slowed, not locked out.
FREE_MISTAKES = 8
MISTAKE_SECONDS = 60.0
PENALTY_SECONDS = 1.0
MAX_COUNTED_ADDRESSES = 1_000
EX_UNAVAILABLE = 69
# struct tcp_info of linux/tcp.h up to tcpi_rtt, in microseconds, and where that is in it.
TCP_INFO_BYTES = 72
TCP_RTT = slice(68, 72)
# linux/tcp.h; Python names it from 3.12 on.
TCP_NOTSENT_LOWAT = 25
_MISTAKES = frozenset({Code.MALFORMED, Code.TOO_BIG, Code.REFUSED})

_HINT = b"This is the sync port of a Store Gateway. Its pages are on another port.\n"

Serve = Callable[["WebSocketLink", str], Coroutine[None, None, None]]


class _Owner(Protocol):
    """Who made a link."""

    message_bytes: int

    def accepted(self, link: "WebSocketLink", transport: WSTransport) -> None:
        """The handshake is done."""

    def mistaken(self, host: str) -> None:
        """The peer at this address was closed for what it sent."""

    def ended(self, transport: WSTransport) -> None:
        """The connection is gone."""


class WebSocketLink(WSListener):
    """One connection. Satisfies ``Link``."""

    def __init__(self, owner: _Owner, path: str = "") -> None:
        self._owner = owner
        self.path = path
        self._transport: WSTransport | None = None
        self._inbox: list[bytes] = []
        self._inbox_bytes = 0
        self._paused_reading = False
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._writable_callback: Callable[[], None] | None = None
        self._closed = False
        self.host = self.address = "local"
        # See ``Link``.
        self.congested = False
        # Our own end of it.
        self.local = ""

    def round_trip_ms(self) -> float | None:
        """See ``Link``. The kernel's smoothed estimate."""
        if self._closed or self._transport is None:
            return None
        connection = self._transport.underlying_transport.get_extra_info("socket")
        information = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        microseconds = int.from_bytes(information[TCP_RTT], sys.byteorder)
        return microseconds / 1_000 if microseconds else None

    async def recv(self) -> list[bytes]:
        """See ``Link``."""
        while not self._inbox and not self._closed:
            self._arrived.clear()
            await self._arrived.wait()
        batch, self._inbox, self._inbox_bytes = self._inbox, [], 0
        if self._paused_reading and self._transport is not None and not self._closed:
            self._paused_reading = False
            self._transport.underlying_transport.resume_reading()
        return batch

    def send(self, data: bytes) -> None:
        """See ``Link``."""
        if not self._closed and self._transport is not None:
            self._transport.send(WSMsgType.BINARY, data)

    async def writable(self) -> None:
        """See ``Link``."""
        await self._room.wait()

    def on_writable(self, callback: Callable[[], None]) -> None:
        """See ``Link``."""
        self._writable_callback = callback

    def close(self, code: int, reason: str) -> None:
        """See ``Link``."""
        if self._closed or self._transport is None:
            return
        text = reason.encode()[:CLOSE_REASON_BYTES].decode(errors="ignore").encode()
        self._transport.send_close(WSCloseCode(code), text)
        self._inbox = []
        self._end()
        if code in _MISTAKES:
            self._owner.mistaken(self.host)
        # A peer that does not answer our close frame is cut off.
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.disconnect)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """picows: the handshake is done."""
        self._transport = transport
        underlying = transport.underlying_transport
        underlying.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        peer = underlying.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.host, self.address = peer[0], f"{peer[0]}:{peer[1]}"
            self.local = underlying.get_extra_info("sockname")[0]
            connection = underlying.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOT_SENT_BYTES)
        self._owner.accepted(self, transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """picows: a frame arrived."""
        if frame.msg_type == WSMsgType.CLOSE:
            if not self._closed:
                transport.send_close(frame.get_close_code(), frame.get_close_reason())
            transport.disconnect()
        elif self._closed:
            return
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.close(Code.MALFORMED, "reserved bits are set")
        elif frame.msg_type == WSMsgType.BINARY and frame.fin and not self._fragments:
            self._take(frame.get_payload_as_bytes())
        elif frame.msg_type in (WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._take_fragment(frame)
        elif frame.msg_type == WSMsgType.TEXT:
            self.close(Code.MALFORMED, "text frames are not understood here")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """picows: the connection is gone."""
        self._end()
        self._owner.ended(transport)

    def pause_writing(self) -> None:
        """picows: the peer does not read."""
        self._room.clear()
        self.congested = not self._closed

    def resume_writing(self) -> None:
        """picows: the peer reads again."""
        self._room.set()
        self.congested = False
        if self._writable_callback is not None:
            self._writable_callback()

    def _take(self, message: bytes) -> None:
        if len(message) > self._owner.message_bytes:
            self.close(Code.TOO_BIG, f"a message above {self._owner.message_bytes} bytes")
            return
        self._inbox.append(message)
        self._inbox_bytes += len(message) + MESSAGE_OVERHEAD_BYTES
        self._arrived.set()
        if self._inbox_bytes > INBOX_BYTES and not self._paused_reading:
            assert self._transport is not None
            self._paused_reading = True
            self._transport.underlying_transport.pause_reading()

    def _take_fragment(self, frame: WSFrame) -> None:
        starts = frame.msg_type != WSMsgType.CONTINUATION
        if starts == bool(self._fragments):
            self.close(Code.MALFORMED, "message fragments out of order")
            return
        self._fragments.append(frame.get_payload_as_bytes())
        self._fragment_bytes += frame.payload_size
        too_big = self._fragment_bytes > self._owner.message_bytes
        if too_big or len(self._fragments) > MAX_FRAGMENTS:
            self.close(Code.TOO_BIG, f"a message above {self._owner.message_bytes} bytes")
        elif frame.fin:
            message = b"".join(self._fragments)
            self._fragments, self._fragment_bytes = [], 0
            self._take(message)

    def _end(self) -> None:
        """Nothing comes any more; what the peer said before it went is still handed over."""
        self._closed = True
        self.congested = False
        self._fragments = []
        self._arrived.set()
        self._room.set()


class WebSocketServer:
    """Accepts links and hands each with its path to ``serve``, in a task of ``spawn``."""

    def __init__(
        self,
        serve: Serve,
        spawn: Callable[[Coroutine[None, None, None]], object],
        *,
        message_bytes: int,
        max_links: int,
        hosts: frozenset[str],
    ) -> None:
        self.message_bytes = message_bytes
        self._serve = serve
        self._spawn = spawn
        self._max_links = max_links
        self._hosts = hosts
        self._links: set[WSTransport] = set()
        self._mistakes = Counter[str]()
        self._mistakes_since = 0.0
        self._no_links = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which differs when 0 was asked for."""
        try:
            self._server = await ws_create_server(
                self._route,
                host,
                port,
                websocket_handshake_timeout=HANDSHAKE_SECONDS,
                enable_auto_ping=True,
                auto_ping_idle_timeout=IDLE_SECONDS,
                auto_ping_reply_timeout=PONG_SECONDS,
                max_frame_size=self.message_bytes + FRAME_SLACK_BYTES,
                read_buffer_init_size=READ_BUFFER_BYTES,
                backlog=1024,
            )
        except OSError as error:
            raise _listen_error(error, host, port) from error
        sockets: list[socket.socket] = list(self._server.sockets)
        return int(sockets[0].getsockname()[1])

    def stop_accepting(self) -> None:
        """No new links; those that exist go on."""
        if self._server is not None:
            self._server.close()

    async def drained(self, seconds: float) -> None:
        """Wait until all links ended; cut those that take longer."""
        self._no_links.clear()
        if self._links:
            try:
                async with asyncio.timeout(seconds):
                    await self._no_links.wait()
            except TimeoutError:
                for transport in list(self._links):
                    transport.disconnect(graceful=False)

    @property
    def links(self) -> int:
        """How many links there are, those that are closing included."""
        return len(self._links)

    def accepted(self, link: WebSocketLink, transport: WSTransport) -> None:
        """A handshake is done."""
        self._links.add(transport)
        late = self._mistakes[link.host] > FREE_MISTAKES
        self._spawn(self._serve_late(link) if late else self._serve(link, link.path))

    async def _serve_late(self, link: WebSocketLink) -> None:
        await asyncio.sleep(PENALTY_SECONDS)
        await self._serve(link, link.path)

    def mistaken(self, host: str) -> None:
        """A peer at this address was closed for what it sent."""
        now = asyncio.get_running_loop().time()
        if now - self._mistakes_since > MISTAKE_SECONDS:
            self._mistakes_since = now
            self._mistakes.clear()
        if host in self._mistakes or len(self._mistakes) < MAX_COUNTED_ADDRESSES:
            self._mistakes[host] += 1

    def ended(self, transport: WSTransport) -> None:
        """A connection is gone."""
        self._links.discard(transport)
        if not self._links:
            self._no_links.set()

    def _route(self, request: WSUpgradeRequest) -> WebSocketLink | WSUpgradeResponseWithListener:
        path = request.path.decode(errors="replace")
        if "upgrade" not in request.headers:
            return _response(HTTPStatus.OK, _HINT)
        if not path.startswith(("/mesh", "/sync/")):
            return _response(HTTPStatus.NOT_FOUND, b"the paths here are /mesh and /sync/\n")
        if not self._same_site(request.headers.get("host", ""), request.headers.get("origin")):
            return _response(HTTPStatus.FORBIDDEN, b"a page of another site may not connect\n")
        if len(self._links) >= self._max_links:
            return _response(HTTPStatus.SERVICE_UNAVAILABLE, b"too many connections\n")
        return WebSocketLink(self, path)

    def _same_site(self, host: str, origin: str | None) -> bool:
        name = urlsplit(f"//{host}").hostname or ""
        if not (_is_address(name) or name.endswith(".local") or name in self._hosts):
            return False
        return origin is None or urlsplit(origin).hostname in (name, *self._hosts)


class WebSocketCaller:
    """Calls other peers."""

    def __init__(self, message_bytes: int) -> None:
        self.message_bytes = message_bytes
        self._transports: set[WSTransport] = set()

    async def connect(self, url: str) -> WebSocketLink:
        """A link to the peer at ``url``. Raises ``GatewayError`` ``unreachable``."""
        try:
            _, link = await ws_connect(
                lambda: WebSocketLink(self),
                url,
                websocket_handshake_timeout=HANDSHAKE_SECONDS,
                enable_auto_ping=True,
                auto_ping_idle_timeout=IDLE_SECONDS,
                auto_ping_reply_timeout=PONG_SECONDS,
                max_frame_size=self.message_bytes + FRAME_SLACK_BYTES,
                read_buffer_init_size=READ_BUFFER_BYTES,
                max_redirects=0,
                # It asks uvloop to resolve the address, which loses the interface (RFC 4007).
                use_aiofastnet=False if "%" in url else None,
            )
        except (OSError, TimeoutError, WSError) as error:
            sentence = f"{url} cannot be reached: {_cause(error)}"
            raise GatewayError("unreachable", sentence, EX_UNAVAILABLE) from error
        # A connection that is lost in the middle of the handshake raises nothing.
        if not isinstance(link, WebSocketLink):
            sentence = f"{url} cannot be reached: the connection was lost at once"
            raise GatewayError("unreachable", sentence, EX_UNAVAILABLE)
        return link

    def close(self) -> None:
        """Cut what is left of all links."""
        for transport in list(self._transports):
            transport.disconnect(graceful=False)

    def accepted(self, link: WebSocketLink, transport: WSTransport) -> None:
        """See ``_Owner``."""
        self._transports.add(transport)

    def mistaken(self, host: str) -> None:
        """See ``_Owner``. We chose to call it."""

    def ended(self, transport: WSTransport) -> None:
        """See ``_Owner``."""
        self._transports.discard(transport)


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "nothing answered in time"
    if isinstance(error, socket.gaierror):
        return "this name is not known"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return "what answered there is not a peer"


def _response(status: HTTPStatus, body: bytes) -> WSUpgradeResponseWithListener:
    if status < HTTPStatus.BAD_REQUEST:
        response = WSUpgradeResponse.create_ok_response(body)
    else:
        response = WSUpgradeResponse.create_error_response(status, body)
    return WSUpgradeResponseWithListener(response, None)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _listen_error(error: OSError, host: str, port: int) -> GatewayError:
    if error.errno == errno.EADDRINUSE:
        return GatewayError(
            "port-taken",
            f"port {port} on {host} is taken by another program;"
            " stop it or choose another with --port",
            69,
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return GatewayError("port-forbidden", f"this user may not listen on port {port}", 77)
    return GatewayError(
        "listen-failed", f"cannot listen on {host}:{port}: {error.strerror or error}", 69
    )
