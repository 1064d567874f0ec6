"""Gateways and peers as processes, each in a device of its own on a network of our own."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from gateway.control.messages import ControlError
from tests.support.gateway import GatewayProcess
from tests.support.lan import Lan
from tests.support.peer import PeerProcess
from tests.support.store import Pairing, ask, command, put


class Shop:
    """Devices on one bridge; processes are named by their device."""

    def __init__(self, lan: Lan, folder: Path, stack: ExitStack) -> None:
        self.lan = lan
        self.folder = folder
        self._stack = stack
        self._number = 0
        self._code = ""

    def device(self, **how: int) -> str:
        self._number += 1
        return self.lan.device(self._number, **how)  # type: ignore[arg-type]

    def gateway(self, device: str, *arguments: str) -> GatewayProcess:
        with self.lan.inside(device):
            gateway = GatewayProcess(self.folder / device, "--lan", *arguments)
            return self._stack.enter_context(gateway)

    def peer(self, device: str, *arguments: str) -> PeerProcess:
        with self.lan.inside(device):
            return self._stack.enter_context(PeerProcess(self.folder / device, *arguments))

    def claim(self, first: str, *others: str) -> None:
        """The gateways of these devices are one store from now on."""
        self._code = str(command(self.folder / first, "claim")["recovery_code"])
        for other in others:
            self.join(other)

    def join(self, device: str) -> None:
        """A gateway joins the store by its recovery code."""
        joined = command(self.folder / device, "claim", "--recovery-code", text=f"{self._code}\n")
        assert joined["ok"], joined

    def paired(self, wanted: Mapping[str, str], *arguments: str) -> dict[str, PeerProcess]:
        """Running peers by their devices; ``wanted`` says at which gateway each is paired."""

        def at(gateway: str) -> dict[str, PeerProcess]:
            # A gateway pairs one device at a time.
            first, *more = (device for device, its in wanted.items() if its == gateway)
            with Pairing(self.folder / gateway) as pairing:
                self._be_paired(first, pairing.uri)
                assert pairing.end()["state"] == "paired"
            for device in more:
                # As the command does, without the time it takes to start.
                self._be_paired(device, self.ask(gateway, "pair")["uri"])
            return {device: self.peer(device, *arguments) for device in (first, *more)}

        with ThreadPoolExecutor() as pool:
            running = dict(
                chain.from_iterable(p.items() for p in pool.map(at, set(wanted.values())))
            )
        # All at once: each takes a while to end.
        self._stack.callback(_stop, running.values())
        return {device: running[device] for device in wanted}

    def _be_paired(self, device: str, uri: str) -> None:
        with self.lan.inside(device), PeerProcess(self.folder / device, "--pair", uri) as peer:
            # It has its ticket then; the gateway says "paired" before.
            peer.wait(lambda event: event.get("state") == "open")

    def ask(self, device: str, verb: str, **arguments: Any) -> Any:
        return ask(self.folder / device, verb, **arguments)

    def put(self, written: Mapping[tuple[str, str], dict[str, Any]]) -> None:
        """Write documents; ``written`` by device and name."""
        put({(self.folder / device, name): content for (device, name), content in written.items()})

    def states(self, device: str) -> list[str]:
        return sorted(row["state"] for row in self.ask(device, "neighbours")["neighbours"])

    def linked(self, device: str, count: int) -> Callable[[], bool]:
        return lambda: self.states(device) == ["linked"] * count

    def mesh_links(self, device: str) -> int:
        sessions = self.ask(device, "status")["sessions"]
        return sum(session["kind"] == "mesh" for session in sessions)

    def has(self, device: str, document: str, content: dict[str, Any]) -> Callable[[], bool]:
        return lambda: self._fields(device, document) == content

    def _fields(self, device: str, document: str) -> dict[str, Any] | None:
        try:
            return fields(self.ask(device, "get", document=document)["content"])
        except ControlError as error:
            if error.code != "no-document":
                raise
            return None


def _stop(peers: Iterable[PeerProcess]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(PeerProcess.stop, peers))


def fields(content: dict[str, Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = (content or {}).get("fields", {})
    return found
