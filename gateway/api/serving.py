"""The hub's API in threads of its own, beside whatever else the process does."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.api.access import Access
from gateway.api.pool import Pool
from gateway.api.site import Site, Surroundings
from gateway.api.watch import Watch
from gateway.api.writing import BODY_BYTES, Edit
from gateway.core.errors import GatewayError
from gateway.http.server import Server
from gateway.ports import CloudStore

# For everything but readers that wait; each has an object of the database at most.
THREADS = 8
# Besides those that are answered: idle ones, and some that are told that they are too many.
SPARE_CONNECTIONS = 64
EX_UNAVAILABLE = 69


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where the API listens, who may use it, and how many may wait for changes."""

    host: str
    port: int
    tokens: Path | None
    readers: int = 64


class Api:
    """Listens at once, on ``port``. Raises ``GatewayError`` ``hub-api-port`` when it cannot.

    ``open_store`` gives each thread its own object of the database; ``edit`` is called from any.
    """

    def __init__(
        self,
        settings: ApiSettings,
        open_store: Callable[[], CloudStore],
        edit: Edit,
        around: Surroundings,
    ) -> None:
        self._pool = Pool(open_store, THREADS)
        self._watch = Watch(open_store)
        access = Access(settings.tokens)
        access.look()
        site = Site(self._pool, self._watch, access, edit, around, settings.readers)
        threads = THREADS + settings.readers
        try:
            self._server = Server(
                site.wsgi,
                settings.host,
                settings.port,
                threads,
                connections=threads + SPARE_CONNECTIONS,
                body_bytes=BODY_BYTES,
            )
        except OSError as error:
            sentence = f"the API cannot listen on {settings.host}:{settings.port}: {error.strerror}"
            raise GatewayError("hub-api-port", sentence, EX_UNAVAILABLE) from error
        self.port = self._server.port
        self._thread = threading.Thread(target=self._server.run, name="api")

    def start(self) -> None:
        """Begin to answer."""
        self._watch.start()
        self._thread.start()

    def close(self) -> None:
        """Stop: who waits is answered, what is being done has two seconds; idempotent."""
        self._watch.close()
        self._server.stop()
        if self._thread.ident is None:
            self._thread.start()
        self._thread.join()
        self._pool.close()
