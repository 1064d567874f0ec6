"""Bad lines between a gateway and a broker, one for each way in which a line is bad.

``tests.support.proxy`` is the way that carries, narrows, goes silent (``stall``) and is lost
(``cut``); here are those that never carried, and those that break again and again.
"""

import contextlib
import random
import socket
from collections.abc import Iterator

from tests.support.proxy import Proxy
from tests.support.shape import Shape

SLOW_BYTES_PER_SECOND = 1_000
# After so many bytes a line breaks: in the TLS handshake, in CONNECT, in the middle of messages.
BREAKS_AFTER_BYTES = (100, 20_000)


def slow(target: int, bytes_per_second: float = SLOW_BYTES_PER_SECOND) -> Proxy:
    """A line that is so slow, either way."""
    shape = Shape(bytes_per_second)
    return Proxy(target, up=shape, down=shape)


def breaking(target: int, seed: int, after: tuple[int, int] = BREAKS_AFTER_BYTES) -> Proxy:
    """A line that carries so many bytes, drawn from a seed, then is lost; the next one too."""
    return Proxy(target, lives=_lives(random.Random(seed), after))


def _lives(chance: random.Random, after: tuple[int, int]) -> Iterator[int]:
    while True:
        yield chance.randint(*after)


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as held:
        # Bound, so that nobody else gets it.
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


@contextlib.contextmanager
def mute() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        # The kernel completes them; nobody accepts.
        yield int(server.getsockname()[1])
