"""A change in the shop while the cloud is broken, in each way, beside one without any cloud."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.control.messages import ControlError
from tests.bench.bench import Measure, Result, Run
from tests.bench.servers import GATEWAY, Server
from tests.support import slow_lines
from tests.support.broker import PASSWORD, Authority, MosquittoBroker
from tests.support.cloud_site import settings
from tests.support.gateway import eventually
from tests.support.latency import Devices, interleaved
from tests.support.mqtt_wire import FullBroker
from tests.support.proxy import Proxy
from tests.support.raw import Closed
from tests.support.store import ask, command

ROUNDS, QUICK_ROUNDS = 7, 3
TURNS = 8
WARM_SECONDS = 1.0
# A line that went silent is given up after 20 s and a second for each kB under way.
STATE_SECONDS = 150.0
OFF = "no cloud"
FULL = "quota"


@dataclass(frozen=True)
class Site:
    """What a broken cloud is made of; ``store`` and ``peer``: the gateway at it."""

    folder: Path
    broker: MosquittoBroker
    store: str
    peer: str

    def toml(self, port: int = 0, **other: object) -> str:
        """Settings of the gateway, by a line at ``port`` if that is named."""
        return settings(self.broker, port, **{"json": ["orders"], "commands": [], **other})


@dataclass(frozen=True)
class Case:
    """``make(site)`` yields settings, and what is done once the gateway is connected by them, if
    it is. ``states``: what ``status --json`` may name then.
    """

    make: Callable[[Site], AbstractContextManager[tuple[str, Callable[[], object] | None]]]
    states: frozenset[str]


Made = Iterator[tuple[str, Callable[[], object] | None]]


@contextmanager
def _works(site: Site) -> Made:
    yield site.toml(), None


@contextmanager
def _dead(site: Site) -> Made:
    with slow_lines.refusing() as port:
        yield site.toml(port), None


@contextmanager
def _slow(site: Site) -> Made:
    with slow_lines.slow(site.broker.ports[PASSWORD]) as proxy:
        yield site.toml(proxy.port), None


@contextmanager
def _mute(site: Site) -> Made:
    with slow_lines.mute() as port:
        yield site.toml(port), None


@contextmanager
def _silent(site: Site) -> Made:
    with Proxy(site.broker.ports[PASSWORD]) as proxy:
        yield site.toml(proxy.port), proxy.stall


@contextmanager
def _breaking(site: Site) -> Made:
    with slow_lines.breaking(site.broker.ports[PASSWORD], seed=1) as proxy:
        yield site.toml(proxy.port), None


@contextmanager
def _certificate(site: Site) -> Made:
    Authority(site.folder / "other")
    yield site.toml(ca=str(site.folder / "other" / "ca.crt")), None


@contextmanager
def _password(site: Site) -> Made:
    wrong = site.folder / "wrong.password"
    wrong.write_text("not this one\n")
    yield site.toml(password_file=str(wrong)), None


@contextmanager
def _quota(site: Site) -> Made:
    with FullBroker() as broker:
        yield site.toml(broker.port, tls=False), None


@contextmanager
def _denied(site: Site) -> Made:
    denied = [
        f"topic deny store-gateway/{site.store}/{name}/#"
        for name in ("json", "projected", "command")
    ]
    site.broker.allow(site.peer, "\n".join([f"user {site.store}", *denied]))
    yield site.toml(), None
    site.broker.allow(site.peer)


CASES = {
    "works": Case(_works, frozenset({"cloud-ok"})),
    "dead": Case(_dead, frozenset({"broker-unreachable"})),
    "1 kB/s": Case(_slow, frozenset({"cloud-ok", "broker-silent"})),
    "never answers": Case(_mute, frozenset({"broker-silent"})),
    "went silent": Case(_silent, frozenset({"broker-silent"})),
    "breaks": Case(_breaking, frozenset({"broker-lost", "broker-no-mqtt", "cloud-ok"})),
    "bad certificate": Case(_certificate, frozenset({"broker-certificate"})),
    "not authorised": Case(_password, frozenset({"broker-not-authorised"})),
    FULL: Case(_quota, frozenset({"broker-quota"})),
    "topic denied": Case(_denied, frozenset({"broker-topic-denied"})),
}


def broken(run: Run) -> Result:
    """All cases, each interleaved with a gateway that has no cloud."""
    result = Result(
        {
            "p50": Measure(
                "a change from one device to another by the state of the cloud, p50", "ms"
            ),
            "p99": Measure("the same, p99", "ms"),
            "slower": Measure("p99 beside that without a cloud in the same round", "x"),
        }
    )
    with ExitStack() as stack:
        folder = run.folder / "off"
        off = Server(GATEWAY, folder, run.cores)
        stack.callback(off.kill)
        _start(off)
        command(folder / "data", "claim")
        for name, case in CASES.items():
            run.say(f"  {name}")
            try:
                _measure(run, result, name, case, off)
            except (AssertionError, OSError, Closed) as error:
                result.failures[name] = f"{error}"[:200]
    return result


def _measure(run: Run, result: Result, name: str, case: Case, off: Server) -> None:
    with (
        _gateway(run, run.folder / name.replace("/", " a "), case) as (server, said),
        closing(Devices(off.folder / "data", off.port)) as calm,
        closing(Devices(server.folder / "data", server.port)) as devices,
    ):
        for one in (calm, devices):
            one.latency(WARM_SECONDS)
        both = {OFF: (off, calm), name: (server, devices)}
        found = interleaved(both, run.rounds(ROUNDS, QUICK_ROUNDS), TURNS)
        for beside, with_cloud in zip(found[OFF], found[name], strict=True):
            result.add("p50", OFF, beside.p50_ms)
            result.add("p99", OFF, beside.p99_ms)
            result.add("p50", name, with_cloud.p50_ms)
            result.add("p99", name, with_cloud.p99_ms)
            result.add("slower", name, with_cloud.p99_ms / beside.p99_ms)
        after = _cloud(server)
        result.notes[name] = f"cloud.state {said}, {after['state']} in the end"


@contextmanager
def _gateway(run: Run, folder: Path, case: Case) -> Iterator[tuple[Server, str]]:
    """A claimed gateway at a cloud that is as it is to be, and what its status says of it."""
    file = folder.with_suffix(".toml")
    file.write_text("")
    server = Server(GATEWAY, folder, run.cores, "--config", str(file))
    with ExitStack() as stack:
        stack.callback(server.kill)
        _start(server)
        claimed = command(folder / "data", "claim")
        assert claimed["ok"], claimed
        status = ask(folder / "data", "status")
        store, peer = status["store_id"], status["peer"]
        server.stop()
        broker = stack.enter_context(MosquittoBroker(folder / "broker", store, peer))
        made = case.make(Site(folder, broker, store, peer))
        text, then = stack.enter_context(made)
        file.write_text(text)
        _start(server)
        if then is not None:
            eventually(lambda: _cloud(server)["state"] == "cloud-ok")
            then()
        yield server, _reached(server, case, folder)


def _start(server: Server) -> None:
    """Until it also takes commands, which is after it listens."""
    server.start()

    def answers() -> bool:
        try:
            return bool(_cloud(server))
        except ControlError:
            return False

    eventually(answers)


def _reached(server: Server, case: Case, folder: Path) -> str:
    """The state that is named; something has to be under way for some of them."""

    def reached() -> Any:
        ask(folder / "data", "put", document="orders/1", content={"n": time.monotonic()})
        state = _cloud(server)["state"]
        return state if state in case.states else None

    return str(eventually(reached, STATE_SECONDS, 0.5))


def _cloud(server: Server) -> Any:
    return ask(server.folder / "data", "status")["cloud"]
