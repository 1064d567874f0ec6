"""A claimed gateway at a real broker."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.core.certificates import store_id
from gateway.core.primitives import public_of
from gateway.core.recovery import recovery_code
from tests.support.broker import PASSWORD, MosquittoBroker
from tests.support.gateway import GatewayProcess, eventually
from tests.support.store import ask, command

# A store whose id is known before it is claimed: it is the user of its gateways.
_ROOT_KEY = b"r" * 32
CODE = recovery_code(_ROOT_KEY)
STORE = store_id(public_of(_ROOT_KEY)).hex()


@dataclass
class Site:
    """A claimed gateway, its broker, and the topics of both."""

    gateway: GatewayProcess
    broker: MosquittoBroker
    config: Path
    store: str
    peer: str

    @property
    def root(self) -> str:
        """The begin of all topics."""
        return f"store-gateway/{self.store}"

    def topic(self, name: str) -> str:
        """A topic of the store."""
        return f"{self.root}/{name}"

    @property
    def health(self) -> str:
        """Where the gateway says how it is."""
        return self.topic(f"health/{self.peer}")

    @property
    def request(self) -> str:
        """Where it takes commands."""
        return self.topic(f"command/{self.peer}/request")

    @property
    def cloud(self) -> Any:
        """What its status says of the cloud."""
        return ask(self.gateway.folder, "status")["cloud"]

    def put(self, document: str, content: dict[str, Any]) -> None:
        """Write at the gateway; it is on its disk on return."""
        ask(self.gateway.folder, "put", document=document, content=content)

    def becomes(self, state: str, seconds: float = 30.0) -> Any:
        """The status of the cloud once it is in this state."""

        def reached() -> Any:
            said = self.cloud
            return said if said["state"] == state else None

        return eventually(reached, seconds)


def settings(broker: MosquittoBroker, port: int = 0, **other: object) -> str:
    """The settings of a gateway at a broker, or at a ``port`` that leads there."""
    values: dict[str, object] = {
        "enabled": True,
        "host": "localhost",
        "port": port or broker.ports[PASSWORD],
        "ca": str(broker.folder / "certs" / "ca.crt"),
        "user": broker.store,
        "password_file": str(broker.password_file("gateway")),
        "json": ["orders", "menu"],
        "commands": ["orders"],
        **other,
    }
    if not values.get("tls", True):
        del values["ca"]
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(["[mqtt]", *lines, ""])


def claimed(gateway: GatewayProcess) -> str:
    """Make it the gateway of ``STORE``; its peer id."""
    assert command(gateway.folder, "claim", "--recovery-code", text=CODE)["ok"]
    status = ask(gateway.folder, "status")
    assert status["store_id"] == STORE
    return str(status["peer"])


@contextmanager
def site(
    folder: Path, *, home_assistant: bool = False, kind: type[GatewayProcess] = GatewayProcess
) -> Iterator[Site]:
    """Both of them, connected soon."""
    with MosquittoBroker(folder / "broker", STORE) as broker:
        config = folder / "gateway.toml"
        config.write_text(settings(broker, home_assistant=home_assistant))
        with kind(folder / "gateway", "--config", str(config)) as gateway:
            assert ask(gateway.folder, "status")["cloud"]["state"] == "cloud-no-store"
            peer = claimed(gateway)
            broker.allow(peer)
            yield Site(gateway, broker, config, STORE, peer)
