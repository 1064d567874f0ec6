"""Many simulated stores that publish without end at the nodes of a broker, by the product's client.

A store appends the numbers 0, 1, 2 … to one document, each in a message that it publishes until the
broker has it and somebody heard it. So what a hub holds says by itself what was lost.
"""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import TracebackType
from typing import Any, Self

from pycrdt import Array, Doc

from gateway.adapters.loop import new_event_loop
from gateway.adapters.mqtt import Mqtt, MqttLink
from gateway.adapters.mqtt_pipe import Settings
from gateway.core.bridge import Publication
from gateway.core.bridge_items import Change
from gateway.core.errors import GatewayError
from tests.support.cloud import HandGateway

DOCUMENT = "orders/numbers"
NUMBERS = "numbers"
# Between two messages of a store, so that the machine has time for those that are looked at.
PACE_SECONDS = 0.1
AGAIN_SECONDS = 0.2


class SimulatedStore:
    """A store, its one document, and what of it is acknowledged."""

    def __init__(self, number: int) -> None:
        self.gateway = HandGateway(1, sha256(f"store {number}".encode()).digest())
        self.space = self.gateway.store.hex()
        self._doc: Doc[Any] = Doc(client_id=number + 1)
        self._numbers = self._doc.get(NUMBERS, type=Array)
        self.made = self.acknowledged = self.links = 0
        self.acknowledged_at = 0.0
        self.nodes: list[str] = []

    def change(self) -> Publication:
        """The message with the next number."""
        before = self._doc.get_state()
        self._numbers.append(self.made)
        self.made += 1
        ((topic, payload),) = (
            (message.topic, message.payload)
            for message in self.gateway.say(Change(DOCUMENT, self._doc.get_update(before)))
        )
        return Publication(topic, payload, heard=True)


class Fleet(threading.Thread):
    """``with Fleet(…) as fleet`` publishes; each store begins at a node of its own.

    ``brokers``: name and port of the nodes; ``login``: user and password file; ``first``: of
    the stores' numbers.
    """

    def __init__(
        self,
        number: int,
        brokers: Sequence[tuple[str, int]],
        login: tuple[str, str],
        *,
        first: int = 0,
    ) -> None:
        super().__init__(name="fleet")
        self.stores = [SimulatedStore(each) for each in range(first, first + number)]
        self._brokers = brokers
        self._login = login
        self._is_over = threading.Event()
        # What was begun is not waited for, either.
        self._is_cut = False
        self.failure: BaseException | None = None

    def run(self) -> None:
        """See ``threading.Thread``."""
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._run())
        except BaseException as error:
            self.failure = error
            raise

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_cut = True
        self._is_over.set()
        self.join()

    def stop(self) -> None:
        """Let each store end with what it has begun, and wait for it."""
        self._is_over.set()
        self.join()
        assert self.failure is None

    @property
    def acknowledged(self) -> int:
        """Messages that the broker has and somebody heard."""
        return sum(store.acknowledged for store in self.stores)

    @property
    def nodes(self) -> Mapping[str, int]:
        """How many stores are at each node now."""
        used = [store.nodes[-1] for store in self.stores if store.nodes]
        return {node: used.count(node) for node in sorted(set(used))}

    def is_served_since(self, moment: float) -> bool:
        """Whether each store had something acknowledged since then (``time.monotonic``)."""
        return all(store.acknowledged_at > moment for store in self.stores)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number, store in enumerate(self.stores):
                tasks.create_task(self._serve(store, number % len(self._brokers)))

    async def _serve(self, store: SimulatedStore, first: int) -> None:
        (host, port), *more = [*self._brokers[first:], *self._brokers[:first]]
        broker = Mqtt(
            Settings(
                host, port, False, f"store-gateway-{store.space}", user=self._login[0],
                password_file=self._login[1], more=tuple(more),
            )
        )  # fmt: skip
        will = Publication(store.gateway.topics.health, b'{"online": false}')
        waiting: Publication | None = None
        while self._goes_on(waiting):
            try:
                link = await broker.connect(will)
                store.links += 1
                store.nodes.append(broker.name)
                try:
                    while self._goes_on(waiting):
                        waiting = waiting or store.change()
                        await self._publish(link, store, waiting)
                        waiting = None
                finally:
                    await link.close(1.0)
            except GatewayError:
                await asyncio.sleep(AGAIN_SECONDS)

    def _goes_on(self, waiting: Publication | None) -> bool:
        return not self._is_cut and (waiting is not None or not self._is_over.is_set())

    async def _publish(
        self, link: MqttLink, store: SimulatedStore, publication: Publication
    ) -> None:
        await link.publish(publication)
        store.acknowledged += 1
        store.acknowledged_at = time.monotonic()
        await asyncio.sleep(PACE_SECONDS)
