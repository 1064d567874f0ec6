"""Keeps the connection to a cloud: connects whenever it can be, and says why if it cannot.

Nothing in the store waits for it, and it never ends the gateway.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from gateway.core.announcement import is_this_machine
from gateway.core.bridge import (
    CONNECTING,
    NO_NETWORK,
    NO_STORE,
    OK,
    Cause,
    Pauses,
    Publication,
    cause_of,
    section,
)
from gateway.core.errors import GatewayError
from gateway.ports import Broker, BrokerLink, Clock, Network
from gateway.runtime.perform import Watcher

# How often it is looked whether this gateway is of a store.
LOOK_SECONDS = 1.0
MISTAKE = "cloud-mistake"
LOST, DENIED = "broker-lost", "broker-topic-denied"

log = logging.getLogger("gateway.cloud")

# The topics of who is connected.
Where = TypeVar("Where")
Where_contra = TypeVar("Where_contra", contravariant=True)


class Work(Protocol[Where_contra]):
    """What is done over a connection; it also counts."""

    def stored(self, documents: Collection[str]) -> None:
        """See ``Watcher``."""

    def over(self, link: BrokerLink, topics: Where_contra) -> Sequence[Coroutine[None, None, None]]:
        """What goes on until the connection is lost. They raise ``GatewayError`` then."""

    def waiting(self) -> int:
        """How many documents are not known to be there."""

    def counts(self) -> dict[str, int]:
        """Figures since the start."""


class Bridge(Watcher, Generic[Where]):
    """``topics()``: those of this device, None while it is of no store; ``is_here``: the broker, or
    a node of it, is on this machine.

    ``will(topics)`` is said when the connection is lost, and in the end; ``chance()`` is from 0
    to 1; ``words`` puts the sentence of a cause as the log says it.
    """

    def __init__(
        self,
        broker: Broker,
        is_here: bool,
        topics: Callable[[], Where | None],
        will: Callable[[Where], Publication],
        clock: Clock,
        chance: Callable[[], float],
        words: Callable[[str], str] = str,
    ) -> None:
        self._broker = broker
        self._is_here = is_here
        self._topics = topics
        self._will = will
        self._now = clock.monotonic
        self._chance = chance
        self._words = words
        self._work: Work[Where] | None = None
        self._pauses = Pauses()
        self._link: BrokerLink | None = None
        self._cause: Cause = CONNECTING
        self._detail = ""
        self._since = self._now()
        self._retry_at: float | None = None
        # What the broker does not take of us, while it is connected.
        self._refusals: dict[str, GatewayError] = {}
        self._network: Network | None = None
        self._moved = asyncio.Event()

    def attach(self, work: Work[Where]) -> None:
        """What is done over connections; before anything else."""
        self._work = work

    def stored(self, documents: Collection[str]) -> None:
        """See ``Watcher``."""
        assert self._work is not None
        self._work.stored(documents)

    def refused(self, what: str, error: GatewayError | None) -> None:
        """The broker takes something of us, or does not, though we are connected."""
        if error is None:
            self._refusals.pop(what, None)
        else:
            self._refusals[what] = error
        if self._link is not None:
            self._look()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._link is not None

    def status(self) -> Mapping[str, Any]:
        """What the status says of the cloud."""
        assert self._work is not None
        now = self._now()
        return section(
            self._cause,
            now - self._since,
            detail=self._detail,
            broker=self._broker.name,
            waiting=self._work.waiting(),
            retry_seconds=None if self._retry_at is None else self._retry_at - now,
            counts=self._work.counts(),
        )

    async def keep(self, network: Network) -> None:
        """Be connected whenever there is a network, for ever."""
        self._network = network
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch(network))
                while True:
                    await self._once()
        finally:
            network.close()
            if self._link is not None:
                self._link.end(GatewayError("broker-lost", "the gateway stops"))

    async def close(self, seconds: float) -> None:
        """Say goodbye to the broker, so that it says at once that we are offline."""
        topics = self._topics()
        if self._link is None or topics is None:
            return
        with contextlib.suppress(GatewayError, TimeoutError):
            async with asyncio.timeout(seconds / 2):
                await self._link.publish(self._will(topics))
        await self._link.close(seconds / 2)

    async def _once(self) -> None:
        """One try, and the pause after it."""
        topics = self._topics()
        if topics is None:
            self._be(NO_STORE)
            await asyncio.sleep(LOOK_SECONDS)
            return
        self._moved.clear()
        if not self._is_in_network():
            self._be(NO_NETWORK)
            await self._moved.wait()
            return
        # A cause stays until it is known to be over.
        if not self._cause.code.startswith("broker-"):
            self._be(CONNECTING)
        connected = await self._try(topics)
        pause = self._pauses.after(connected, self._chance())
        self._retry_at = self._now() + pause
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._moved.wait()
        self._retry_at = None

    async def _try(self, topics: Where) -> float:
        """Connect and do all there is to do, until the connection is lost; how long it lasted."""
        began = None
        try:
            link = await self._broker.connect(self._will(topics))
            began = self._now()
            self._link = link
            self._refusals.clear()
            self._look()
            await self._serve(link, topics)
        except GatewayError as error:
            self._fail(self._reason(error))
        except Exception as error:
            # A fault of ours takes the store its cloud for a moment, and nobody the gateway.
            log.exception("the bridge failed")
            self._fail(GatewayError(MISTAKE, type(error).__name__))
        finally:
            if self._link is not None:
                self._link.end(GatewayError("broker-lost", ""))
            self._link = None
        return 0.0 if began is None else self._now() - began

    async def _serve(self, link: BrokerLink, topics: Where) -> None:
        """Raises ``GatewayError`` in the end."""
        assert self._work is not None
        tasks = [asyncio.ensure_future(work) for work in self._work.over(link, topics)]
        losing = asyncio.ensure_future(link.lost())
        try:
            done, _ = await asyncio.wait([*tasks, losing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, losing):
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        if losing in done:
            raise losing.result()
        for error in ended:
            if isinstance(error, Exception):
                raise _first(error)

    async def _watch(self, network: Network) -> None:
        """Try at once when the network is another one."""
        while True:
            try:
                await self._moved_elsewhere(network)
            except OSError:
                # Without it all goes on, less promptly.
                log.exception("the network cannot be watched")
                return

    async def _moved_elsewhere(self, network: Network) -> None:
        """Wait until the network is another one, and try at once."""
        await network.changed()
        ips = {address.ip for address in network.addresses()}
        if self._link is not None and self._link.local.partition("%")[0] not in ips:
            moved = "this device has another address now"
            self._link.end(GatewayError("broker-lost", moved))
        self._pauses.begin_anew()
        self._moved.set()

    def _is_in_network(self) -> bool:
        assert self._network is not None
        addresses = self._network.addresses()
        return self._is_here or any(not is_this_machine(address.ip) for address in addresses)

    def _fail(self, error: GatewayError) -> None:
        self._be(cause_of(error.code), error.sentence)

    def _reason(self, error: GatewayError) -> GatewayError:
        """Why a connection ended. RabbitMQ refuses a topic, then it hangs up."""
        if error.code != LOST:
            return error
        denied = (one for one in self._refusals.values() if one.code == DENIED)
        return next(denied, error)

    def _look(self) -> None:
        """While it is connected: what is wrong all the same."""
        for error in self._refusals.values():
            self._be(cause_of(error.code), error.sentence)
            return
        self._be(OK)

    def _be(self, cause: Cause, detail: str = "") -> None:
        self._detail = detail
        if cause is self._cause:
            return
        self._cause, self._since = cause, self._now()
        level = (
            logging.WARNING if cause.code.startswith(("broker-", "hub-", MISTAKE)) else logging.INFO
        )
        log.log(level, "%s%s", self._words(cause.what), f" ({detail})" if detail else "")


def _first(error: Exception) -> Exception:
    """The first failure of those that several tasks had."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
