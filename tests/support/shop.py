"""Gateways and peers as processes, each in a device of its own on a network of our own."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gateway.control.client import ControlClient
from gateway.control.messages import ControlError
from tests.support.gateway import GatewayProcess
from tests.support.lan import Lan
from tests.support.peer import PeerProcess


class Shop:
    """Devices on one bridge; processes are named by their device."""

    def __init__(self, lan: Lan, folder: Path, stack: ExitStack) -> None:
        self.lan = lan
        self.folder = folder
        self._stack = stack
        self._number = 0

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

    def ask(self, device: str, verb: str, **arguments: Any) -> Any:
        return ControlClient(self.folder / device / "control.sock").request(verb, **arguments)

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


def fields(content: dict[str, Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = (content or {}).get("fields", {})
    return found
