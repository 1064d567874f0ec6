"""The composition of a hub: one worker of it (docs/hub.md).

Start: open the database, read the key, answer on the admin door, connect, answer by HTTP. Stop: end
HTTP, say goodbye to the broker, finish what the database is at, close it.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway import __version__
from gateway.adapters.hub_key import read_key
from gateway.adapters.loop import new_event_loop
from gateway.adapters.mqtt import Mqtt
from gateway.adapters.mqtt_pipe import Settings
from gateway.adapters.process_figures import process_figures
from gateway.adapters.rtnetlink import Network
from gateway.adapters.sqlite_cloud import SqliteCloud
from gateway.control.server import ControlServer
from gateway.core.announcement import is_this_machine
from gateway.core.bridge_topics import HubTopics
from gateway.core.cloud_answers import Post
from gateway.core.cloud_shares import Shares
from gateway.core.errors import GatewayError
from gateway.core.fair_use import FairUse
from gateway.core.hub_metrics import worker_metrics
from gateway.core.hub_words import of_hub, said
from gateway.core.primitives import public_of
from gateway.hub_config import HubConfig
from gateway.ports import BrokerLink, CloudStore, Intake
from gateway.runtime.bridge import Bridge
from gateway.runtime.cloud_answering import Answering
from gateway.runtime.cloud_desk import Desk
from gateway.runtime.cloud_documents import CloudDocuments
from gateway.runtime.cloud_edits import CloudEdits, Verb
from gateway.runtime.cloud_worker import CloudWorker, Hearing, compare, shared
from gateway.runtime.threads import Helper

if TYPE_CHECKING:
    from gateway.api.serving import Api

# Each worker of a folder has its own admin door.
SOCKETS: Final = "hub-*.sock"
GOODBYE_SECONDS: Final = 2.0
# For an edit by the API; the worker may just be answering somebody who compares.
EDIT_SECONDS: Final = 20.0
EX_UNAVAILABLE: Final = 69
EX_CANTCREAT: Final = 73
ID_BYTES: Final = 4
# Messages that are not done and publications without an answer: several batches, so that the
# broker, the database and the gateways do not wait for each other.
WINDOW: Final = 400
WINDOW_BYTES: Final = 4_194_304
# As many as may come, each as long as it may be; what a broker sends beyond is dropped.
MAX_WAITING: Final = 4_000
MAX_WAITING_BYTES: Final = 134_217_728

Ready = Callable[[Mapping[str, Any]], None]


class MonotonicClock:
    """Satisfies ``Clock``."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()


def run(config: HubConfig, draw: Callable[[int], bytes], ready: Ready) -> None:
    """Run one worker until it is told to stop. Raises ``GatewayError`` for our faults.

    ``draw(count)`` gives random bytes; ``ready`` is called once the database is open.
    """
    folder = Path(config.folder).absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise GatewayError("hub-folder", f"{folder}: {error.strerror}", EX_CANTCREAT) from error
    signing = read_key(config.key_path, draw)
    store = _open(config, folder)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(Hub(config, folder, store, signing, draw).run(ready))
    finally:
        store.close()


def public_key(config: HubConfig, draw: Callable[[int], bytes]) -> str:
    """What stands in a gateway's ``[mqtt] hub``. Raises ``GatewayError``."""
    return public_of(read_key(config.key_path, draw)).hex()


class Hub:
    """One running worker."""

    def __init__(
        self,
        config: HubConfig,
        folder: Path,
        store: CloudStore,
        signing: bytes,
        draw: Callable[[int], bytes],
    ) -> None:
        self._config = config
        self._folder = folder
        self._key = public_of(signing).hex()
        self._helper = Helper("hub-store")
        self._documents = CloudDocuments(store)
        topics = HubTopics(config.root)
        self._bridge: Bridge[HubTopics] = Bridge(
            Mqtt(_settings(config, draw(ID_BYTES).hex())),
            any(is_this_machine(host) for host, _ in config.broker.nodes),
            lambda: topics,
            compare,
            MonotonicClock(),
            chance := _chance(draw),
            said,
        )
        shares, post = Shares(config.shares), Post(config.root, signing)
        use, clock = FairUse(), MonotonicClock()
        self.worker = CloudWorker(
            Desk(
                store,
                config.root,
                shares,
                post,
                self._documents,
                config.stores,
                config.database.max_space_bytes,
                use,
                clock,
            ),
            Answering(store, self._documents, shares, post, use, clock),
            CloudEdits(store, self._documents, shares, draw),
            post,
            self._helper,
            _hearing(config),
            self._bridge.refused,
            chance,
        )
        self._bridge.attach(self.worker)
        self._api: Api | None = None
        self._stop = asyncio.Event()

    async def run(self, ready: Ready) -> None:
        """Start, work until told to stop, stop in order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        control = ControlServer(self._folder / f"hub-{os.getpid()}.sock", self._answer)
        await control.start()
        keeping = asyncio.ensure_future(self._bridge.keep(Network()))
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            self._api = self._serve(loop)
            ready(self._facts())
            await asyncio.wait([keeping, stopping], return_when=asyncio.FIRST_COMPLETED)
            await self._end_api()
            await self._bridge.close(GOODBYE_SECONDS)
        finally:
            await self._end_api()
            keeping.cancel()
            stopping.cancel()
            await control.close()
            ended = await asyncio.gather(keeping, return_exceptions=True)
            await asyncio.to_thread(self._helper.close)
        if isinstance(ended[0], Exception):
            raise ended[0]

    def _serve(self, loop: asyncio.AbstractEventLoop) -> "Api | None":
        of = self._config.api
        if not of.enabled:
            return None
        # Who has no API does without its libraries.
        from gateway.api.serving import Api, ApiSettings
        from gateway.api.site import Surroundings

        api = Api(
            ApiSettings(
                of.host, of.port, Path(of.tokens_file) if of.tokens_file else None, of.readers
            ),
            partial(_open, self._config, self._folder),
            partial(self._edited, loop),
            Surroundings(
                __version__,
                self._broker,
                process_figures,
                lambda: worker_metrics(self.worker.counts()),
            ),
        )
        api.start()
        return api

    async def _end_api(self) -> None:
        api, self._api = self._api, None
        if api is not None:
            await asyncio.to_thread(api.close)

    def _edited(
        self,
        loop: asyncio.AbstractEventLoop,
        space: str,
        document: str,
        verb: Verb,
        content: Mapping[str, Any],
        root: str,
    ) -> None:
        """An edit that a thread of the API asks for."""
        done = asyncio.run_coroutine_threadsafe(
            self.worker.edit(space, document, verb, content, root), loop
        )
        try:
            done.result(EDIT_SECONDS)
        except TimeoutError:
            done.cancel()
            sentence = "it is not known whether this was written; do it again"
            raise GatewayError("busy", sentence) from None

    def _broker(self) -> str:
        """Why no messages come, or ""."""
        return "" if self.worker.is_hearing else str(self._bridge.status()["state"])

    async def _answer(self, verb: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if verb != "status" or arguments:
            raise GatewayError("usage", "a worker of a hub knows the verb status, no more")
        return self.status()

    def status(self) -> Mapping[str, Any]:
        """What the worker says of itself."""
        trouble = self.worker.trouble
        return {
            **self._facts(),
            "pid": os.getpid(),
            "version": __version__,
            "hearing": self.worker.is_hearing,
            "broker": of_hub(self._bridge.status()),
            "database": {
                "state": trouble.code if trouble else "ok",
                "sentence": trouble.sentence if trouble else "The database answers.",
                "compacted": self._documents.compacted,
                "broken": self._documents.broken,
            },
        }  # fmt: skip

    def _facts(self) -> dict[str, Any]:
        broker = self._config.broker
        url = self._config.database.url
        return {
            "address": ", ".join(f"{host}:{port}" for host, port in broker.nodes),
            "root": self._config.root,
            "kind": "postgresql" if url else "sqlite",
            "data": str(self._folder),
            "key": self._key,
            "api": self._api_address(),
        }

    def _api_address(self) -> str:
        if self._api is None:
            return ""
        host = self._config.api.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._api.port}/"


def _open(config: HubConfig, folder: Path) -> CloudStore:
    if config.database.url:
        with _extra("PostgreSQL"):
            from gateway.adapters.postgres_cloud import PostgresCloud

        return PostgresCloud.open(config.database.url)
    return SqliteCloud.open(folder)


def _settings(config: HubConfig, number: str) -> Settings:
    broker = config.broker
    (host, port), *more = broker.nodes
    return Settings(
        host, port, broker.tls_used, f"hub-{number}",
        broker.ca, broker.certificate, broker.key, broker.user, broker.password_file,
        WINDOW, WINDOW_BYTES, MAX_WAITING, MAX_WAITING_BYTES, tuple(more),
    )  # fmt: skip


def _hearing(config: HubConfig) -> Hearing:
    """Where messages come from; RabbitMQ keeps those of gateways in a queue, so nothing is said of
    a start."""
    amqp = config.intake.amqp
    if not amqp.hosts:
        return shared
    with _extra("RabbitMQ"):
        from gateway.adapters.amqp import connect
    from gateway.adapters.amqp_settings import AmqpSettings

    settings = AmqpSettings(
        amqp.nodes, amqp.tls, amqp.ca, amqp.certificate, amqp.key, amqp.user, amqp.password_file,
        amqp.virtual_host, config.root,
    )  # fmt: skip

    async def queued(_: BrokerLink, __: HubTopics) -> Intake:
        try:
            return await connect(settings)
        except GatewayError as error:
            raise GatewayError(error.code, f"by AMQP: {error.sentence}") from error

    return queued


@contextmanager
def _extra(what: str) -> Iterator[None]:
    """What no gateway needs may not be installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        sentence = f"{what} needs packages that are not installed; see Installing in docs/hub.md"
        raise GatewayError("hub-packages", sentence, EX_UNAVAILABLE) from error


def _chance(draw: Callable[[int], bytes]) -> Callable[[], float]:
    return lambda: int.from_bytes(draw(2), "big") / 65_536
