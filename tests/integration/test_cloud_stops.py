"""A broker that is lost at each step: the shop goes on, and afterwards the broker has all."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.broker import OPEN, MosquittoBroker
from tests.support.cloud_site import settings
from tests.support.gateway import eventually
from tests.support.mqtt_wire import (
    CONNACK,
    CONNECT,
    PINGREQ,
    PUBACK,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Packets,
)
from tests.support.office import Office
from tests.support.outage import Load
from tests.support.proxy import Passed, Proxy
from tests.support.slow_lines import breaking
from tests.support.store import ask, command
from tests.support.timed_gateway import TimedGateway

pytestmark = [pytest.mark.integration, pytest.mark.cloud]

UPDATES, ORDERS = 300, 15
COLLECTIONS = ["orders", "menu", "tables"]
# The gateway asks an idle connection after 30 s.
IDLE_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 300.0
OUT_SECONDS = 2 * 3_600.0
# A line breaks after so many bytes: in the handshake, in the middle of a document; a connection
# costs a kilobyte. No connection lives for the ten seconds after which the mark is written.
LIVES = (100, 14_000)

# Whether it is this packet: of the gateway or of the broker, its kind, what it holds.
Step = Callable[[bool, int, bytes], bool]
STEPS: dict[str, Step] = {
    "CONNECT": lambda up, kind, body: up and kind == CONNECT,
    "CONNACK": lambda up, kind, body: not up and kind == CONNACK,
    "the mark is asked for": lambda up, kind, body: up and kind == SUBSCRIBE,
    "that is granted": lambda up, kind, body: not up and kind == SUBACK,
    "the echo behind the mark": lambda up, kind, body: not up and kind == PUBLISH,
    "the mark is known": lambda up, kind, body: up and kind == UNSUBSCRIBE,
    "a document": lambda up, kind, body: up and kind == PUBLISH and b"/json/" in body,
    "its acknowledgement": lambda up, kind, body: not up and kind == PUBACK and body[1] >= 6,
    "health": lambda up, kind, body: up and kind == PUBLISH and b"/health/" in body,
    "the question whether it is there": lambda up, kind, body: up and kind == PINGREQ,
}


@dataclass
class Stop:
    """Kills the broker when the packet of a step is about to go on."""

    broker: MosquittoBroker
    step: Step
    forget: bool
    done: threading.Event = field(default_factory=threading.Event)
    _ways: dict[tuple[int, bool], Packets] = field(default_factory=dict)

    def before(self, passed: Passed, up: bool, data: bytes) -> bool:
        """See ``Proxy``."""
        packets = self._ways.setdefault((id(passed), up), Packets())
        for head, body in packets.feed(data):
            if not self.done.is_set() and self.step(up, head >> 4, body):
                self.broker.kill(forget=self.forget)
                self.done.set()
                return False
        return True


@contextmanager
def shop(folder: Path) -> Iterator[tuple[TimedGateway, MosquittoBroker, Path]]:
    """A claimed gateway, which is stopped, and a broker that knows it and is not started."""
    file = folder / "gateway.toml"
    file.write_text("")
    with TimedGateway(folder / "gateway", "--config", str(file)) as gateway:
        assert command(gateway.folder, "claim")["ok"]
        status = ask(gateway.folder, "status")
        broker = MosquittoBroker(folder / "broker", status["store_id"], status["peer"])
        gateway.stop()
        try:
            yield gateway, broker, file
        finally:
            broker.stop()


def cloud(gateway: TimedGateway) -> Any:
    return ask(gateway.folder, "status")["cloud"]


def all_is_there(gateway: TimedGateway, broker: MosquittoBroker, load: Load) -> None:
    """The broker shows every document as it is in the end."""
    root = f"store-gateway/{ask(gateway.folder, 'status')['store_id']}"
    with Office(broker, f"{root}/json/#") as office:

        def wrong() -> list[str]:
            shown = office.retained
            return load.wrong(lambda name: shown.get(f"{root}/json/{name}"))

        eventually(lambda: not wrong(), 60.0)
    eventually(lambda: cloud(gateway)["waiting"] == 0)


def write(load: Load, share: float) -> None:
    """The devices write up to this share of all, and it is on the gateway's disk."""
    load.release(round(UPDATES * share))
    load.settle()


CASES = [(step, False) for step in STEPS]
# What it acknowledged is lost as well.
CASES += [("the mark is known", True), ("its acknowledgement", True)]


@pytest.mark.parametrize(("step", "forget"), CASES)
def test_a_broker_that_is_killed_at_a_step(tmp_path: Path, step: str, forget: bool) -> None:
    with shop(tmp_path) as (gateway, broker, file):
        stop = Stop(broker, STEPS[step], forget)
        broker.start()
        with Proxy(broker.ports[OPEN], before=stop.before) as proxy:
            file.write_text(settings(broker, proxy.port, tls=False, json=COLLECTIONS))
            gateway.start()
            with Load(
                gateway.folder, gateway.port, gateway.clock, updates=UPDATES, orders=ORDERS
            ) as load:
                load.linked()
                write(load, 1 / 3)
                if step == "the question whether it is there":
                    eventually(lambda: cloud(gateway)["waiting"] == 0)
                    gateway.clock.advance(IDLE_SECONDS)
                assert stop.done.wait(30.0), f"{step} did not come"
                write(load, 2 / 3)
                eventually(lambda: cloud(gateway)["state"].startswith("broker-"))
                assert cloud(gateway)["waiting"] > 0
                broker.start()
                # The pause before the next try is not waited for.
                gateway.clock.advance(LONGEST_PAUSE_SECONDS)
                write(load, 1.0)
                eventually(lambda: cloud(gateway)["state"] == "cloud-ok")
                all_is_there(gateway, broker, load)


def test_a_broker_that_comes_back_as_it_was_some_time_ago(tmp_path: Path) -> None:
    with shop(tmp_path) as (gateway, broker, file):
        file.write_text(settings(broker, broker.ports[OPEN], tls=False, json=COLLECTIONS))
        broker.start()
        gateway.start()
        with Load(
            gateway.folder, gateway.port, gateway.clock, updates=UPDATES, orders=ORDERS
        ) as load:
            write(load, 0.5)
            eventually(lambda: cloud(gateway)["waiting"] == 0)
            broker.save()
            write(load, 1.0)
            eventually(lambda: cloud(gateway)["waiting"] == 0)
            broker.kill()
            eventually(lambda: cloud(gateway)["state"] == "broker-unreachable")
            broker.start()
            eventually(lambda: gets_on(gateway) and cloud(gateway)["state"] == "cloud-ok")
            all_is_there(gateway, broker, load)


def test_a_broker_that_is_not_there_when_the_gateway_starts(tmp_path: Path) -> None:
    with shop(tmp_path) as (gateway, broker, file):
        file.write_text(settings(broker, broker.ports[OPEN], tls=False, json=COLLECTIONS))
        gateway.start()
        with Load(
            gateway.folder, gateway.port, gateway.clock, updates=UPDATES, orders=ORDERS
        ) as load:
            write(load, 0.5)
            eventually(lambda: cloud(gateway)["state"] == "broker-unreachable")
            # It goes on being tried, and the gateway is killed meanwhile.
            gateway.clock.advance(OUT_SECONDS)
            assert cloud(gateway)["retry_s"] <= LONGEST_PAUSE_SECONDS
            gateway.kill()
            gateway.start()
            write(load, 1.0)
            broker.start()
            gateway.clock.advance(LONGEST_PAUSE_SECONDS)
            eventually(lambda: cloud(gateway)["state"] == "cloud-ok")
            all_is_there(gateway, broker, load)


def test_a_line_that_breaks_again_and_again(tmp_path: Path) -> None:
    with shop(tmp_path) as (gateway, broker, file):
        broker.start()
        with breaking(broker.ports[OPEN], 4, LIVES) as proxy:
            file.write_text(settings(broker, proxy.port, tls=False, json=COLLECTIONS))
            gateway.start()
            with Load(
                gateway.folder, gateway.port, gateway.clock, updates=UPDATES, orders=ORDERS
            ) as load:
                for share in (0.25, 0.5, 0.75, 1.0):
                    write(load, share)
                    eventually(lambda: gets_on(gateway), 60.0)
                assert len(proxy.passed) > 4
                all_is_there(gateway, broker, load)


def gets_on(gateway: TimedGateway) -> bool:
    """Whether nothing waits any more; the pause before the next try is not waited for."""
    said = cloud(gateway)
    if said.get("retry_s"):
        gateway.clock.advance(said["retry_s"])
    return bool(said["waiting"] == 0)
