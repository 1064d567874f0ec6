"""Serves a WSGI app, on waitress: so many threads, connections and bytes, and no more.

A request has a thread for as long as its answer is made; to send it needs none. An answer that
is made bit by bit waits for its reader, and who takes nothing for ``SLOW_SECONDS`` is cut.
"""

import logging
import socket
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer

# Names are short; the largest thing in a header is a token.
HEADER_BYTES = 16_384
# What an answer that is made bit by bit may be ahead of its reader, besides the kernel's buffers.
AHEAD_BYTES = 262_144
SLOW_SECONDS = 30.0
# How often it is looked who is slow, or idle.
LOOK_SECONDS = 5
IDLE_SECONDS = 60
# What is being answered has so long to end by itself, and what waits for its reader as much again.
STOP_SECONDS = 1.0

# That requests wait for a thread is what the threads are for.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)


class Server:
    """Listens at once; ``port`` is where. Raises ``OSError`` when it cannot.

    At most ``connections`` are open, each sends at most ``body_bytes`` a request.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        host: str,
        port: int,
        threads: int,
        *,
        connections: int = 100,
        body_bytes: int = 1_048_576,
        slow_seconds: float = SLOW_SECONDS,
    ) -> None:
        # Before waitress has threads that would outlive a failure.
        bound = _bound(host, port)
        settings = Adjustments(
            sockets=[bound],
            threads=threads,
            ident=None,
            connection_limit=connections,
            max_request_header_size=HEADER_BYTES,
            max_request_body_size=body_bytes,
            outbuf_high_watermark=AHEAD_BYTES,
            # Else it is not noticed that a reader went away.
            channel_request_lookahead=1,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=min(LOOK_SECONDS, int(slow_seconds)),
            asyncore_use_poll=True,
        )
        self._listener = _Listener(app, settings, bound, slow_seconds)
        self._look_seconds = min(LOOK_SECONDS, slow_seconds)
        self._is_stopping = False
        self.port = int(self._listener.effective_port)

    def run(self) -> None:
        """Serve until ``stop``; then end what is open."""
        listener = self._listener
        while not self._is_stopping:
            # Returns after each event, so a stop is seen.
            wasyncore.loop(self._look_seconds, use_poll=True, map=listener._map, count=1)
        listener.task_dispatcher.shutdown(timeout=STOP_SECONDS)
        for channel in list(listener.active_channels.values()):
            # Whoever waits for its reader is told that there is none any more.
            channel.handle_close()
        listener.task_dispatcher.shutdown(timeout=STOP_SECONDS)
        wasyncore.close_all(listener._map)

    def stop(self) -> None:
        """Make ``run`` return; from any thread, idempotent."""
        if not self._is_stopping:
            self._is_stopping = True
            self._listener.pull_trigger()


def _bound(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address, family=family)


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses two lengths: a proxy before us may believe the other (RFC 9112 section 6.1)."""

    def parse_header(self, header_plus: bytes) -> None:
        """Called by waitress with the head of a request."""
        super().parse_header(header_plus)
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length beside Transfer-Encoding")


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser


class _Listener(TcpWSGIServer):  # type: ignore[misc]
    """Cuts who takes nothing of what is there for it: waitress waits until it takes some."""

    channel_class = _Channel

    def __init__(
        self, app: Callable[..., Any], settings: Adjustments, bound: socket.socket, slow: float
    ) -> None:
        where = (bound.family, bound.type, bound.proto, bound.getsockname())
        super().__init__(app, _sock=bound, adj=settings, sockinfo=where, bind_socket=False)
        self._slow = slow

    def maintenance(self, now: float) -> None:
        """Called by waitress every ``cleanup_interval`` seconds."""
        super().maintenance(now)
        for channel in list(self.active_channels.values()):
            if channel.total_outbufs_len and channel.last_activity < now - self._slow:
                channel.handle_close()
