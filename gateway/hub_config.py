"""Settings of a hub: frozen dataclasses from ``hub.toml``, with all defaults (docs/hub.md)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from gateway.config import GIB, HOST, Config, Mqtt, default_data
from gateway.core.announcement import is_this_machine
from gateway.core.cloud_shares import EVERY, Share, overlap
from gateway.core.errors import GatewayError
from gateway.settings import EX_CONFIG, Rule, are_nodes, filled, nodes, read_toml, whole

FOLDER = "store-gateway-hub"
KEY_FILE = "hub.key"

# What is right for the broker of a gateway is right here.
_BROKER = {entry.name: entry.metadata for entry in fields(Mqtt)}
_URL = {
    "rule": Rule(
        '"" for a file in the data folder, or postgresql://user@host/database',
        lambda value: isinstance(value, str) and re.match(r"$|postgres(ql)?://", value) is not None,
    )
}


def _are_stores(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(store, str) and re.fullmatch(r"\*|[0-9a-f]{32}", store) for store in value
    )


# As they are said of a gateway.
_FLAG = _BROKER["enabled"]
_STORES = {
    "rule": Rule(
        "a list of ids of stores, 32 hex digits each",
        lambda value: _are_stores(value) and EVERY not in value,
    )
}
_SHARE_NAME = {
    "rule": Rule(
        'a name such as "menu": letters, digits, - and _',
        lambda value: isinstance(value, str) and re.fullmatch(r"[\w-]{1,64}", value) is not None,
    )
}
_SOME = {"rule": Rule('["*"] or a list of ids of stores', _are_stores)}
_TEXT = _BROKER["ca"]


_NODES = {"rule": Rule('a list of nodes such as ["rabbit1.example:5671"]', are_nodes)}


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker of the gateways, as that of a gateway (``config.Mqtt``)."""

    host: str | tuple[str, ...] = field(default="localhost", metadata=_BROKER["host"])
    port: int = field(default=0, metadata=_BROKER["port"])
    # None: where it is another machine.
    tls: bool | None = field(default=None, metadata=_BROKER["tls"])
    ca: str = field(default="", metadata=_TEXT)
    certificate: str = field(default="", metadata=_TEXT)
    key: str = field(default="", metadata=_TEXT)
    user: str = field(default="", metadata=_BROKER["user"])
    password_file: str = field(default="", metadata=_TEXT)

    @property
    def tls_used(self) -> bool:
        """Whether there is TLS."""
        if self.tls is not None:
            return self.tls
        return not all(is_this_machine(name) for name, _ in nodes(self.host, 0))

    @property
    def port_used(self) -> int:
        """The port, also where none is named."""
        return self.port or (8_883 if self.tls_used else 1_883)

    @property
    def nodes(self) -> tuple[tuple[str, int], ...]:
        """Name and port of each node."""
        return nodes(self.host, self.port_used)


@dataclass(frozen=True, slots=True)
class Amqp:
    """Where the messages of gateways are taken by AMQP (docs/rabbitmq); without ``hosts`` they are
    taken from the broker by MQTT."""

    hosts: tuple[str, ...] = field(default=(), metadata=_NODES)
    tls: bool = field(default=True, metadata=_BROKER["tls"])
    ca: str = field(default="", metadata=_TEXT)
    certificate: str = field(default="", metadata=_TEXT)
    key: str = field(default="", metadata=_TEXT)
    user: str = field(default="", metadata=_BROKER["user"])
    password_file: str = field(default="", metadata=_TEXT)
    virtual_host: str = field(default="/", metadata=_TEXT)

    @property
    def nodes(self) -> tuple[tuple[str, int], ...]:
        """Name and port of each."""
        return nodes(self.hosts, 5_671 if self.tls else 5_672)


@dataclass(frozen=True, slots=True)
class Intake:
    """Where messages of gateways come from."""

    amqp: Amqp = field(default_factory=Amqp)


@dataclass(frozen=True, slots=True)
class Database:
    """Where documents are kept; ``max_space_bytes``: of a store, or of a share, with history."""

    url: str = field(default="", metadata=_URL)
    max_space_bytes: int = field(default=16 * GIB, metadata=whole(1_048_576, 1_024 * GIB))


@dataclass(frozen=True, slots=True)
class HttpApi:
    """The HTTP API (docs/hub-api.md). ``readers``: those that wait for changes, at most."""

    enabled: bool = field(default=False, metadata=_FLAG)
    host: str = field(default="127.0.0.1", metadata=HOST)
    port: int = field(default=8_790, metadata=whole(0, 65_535))
    tokens_file: str = field(default="", metadata=_TEXT)
    readers: int = field(default=64, metadata=whole(1, 1_000))


@dataclass(frozen=True, slots=True)
class SharedCollections:
    """See ``core.cloud_shares.Share``. Who writes has to be said, as any store may be there."""

    name: str = field(default="", metadata=_SHARE_NAME)
    collections: tuple[str, ...] = field(default=(), metadata=_BROKER["json"])
    stores: tuple[str, ...] = field(default=(EVERY,), metadata=_SOME)
    writers: tuple[str, ...] = field(default=(), metadata=_SOME)


@dataclass(frozen=True, slots=True)
class HubConfig:
    """All settings. ``stores``: those that are served; empty: all that prove who they are."""

    folder: str = field(default_factory=lambda: default_data(FOLDER), metadata=_TEXT)
    root: str = field(default="store-gateway", metadata=_BROKER["root"])
    key_file: str = field(default="", metadata=_TEXT)
    stores: tuple[str, ...] = field(default=(), metadata=_STORES)
    broker: Broker = field(default_factory=Broker)
    intake: Intake = field(default_factory=Intake)
    database: Database = field(default_factory=Database)
    api: HttpApi = field(default_factory=HttpApi)
    share: tuple[SharedCollections, ...] = field(default=(), metadata={"each": SharedCollections})

    @property
    def shares(self) -> tuple[Share, ...]:
        """The shares, as the core knows them."""
        return tuple(
            Share(one.name, one.collections, one.stores, one.writers) for one in self.share
        )

    @property
    def key_path(self) -> Path:
        """Where the key is."""
        return Path(self.key_file or Path(self.folder) / KEY_FILE).absolute()


def is_of_hub(path: Path | None) -> bool:
    """Whether a file is of a hub: it has what a gateway's has not, and nothing of a gateway's.

    Raises ``GatewayError`` (``config-…``).
    """
    said = frozenset() if path is None else read_toml(path).keys()
    of_hub = {entry.name for entry in fields(HubConfig)}
    of_gateway = {entry.name for entry in fields(Config)}
    return bool(said & (of_hub - of_gateway)) and not said & (of_gateway - of_hub)


def load_hub(path: Path | None) -> HubConfig:
    """The settings in a file, or the defaults. Raises ``GatewayError`` (``config-…``)."""
    return HubConfig() if path is None else override_hub(HubConfig(), read_toml(path), str(path))


def override_hub(config: HubConfig, values: Mapping[str, Any], source: str) -> HubConfig:
    """``config`` with some values replaced; errors name ``source`` as the file."""
    changed: HubConfig = filled(config, values, source, "")
    wrong = _wrong_broker(changed.broker) or overlap(changed.shares) or _unnamed(changed)
    wrong = wrong or _wrong_api(changed.api) or _wrong_root(changed)
    if wrong:
        raise GatewayError("config-value", f"{source}: {wrong}", EX_CONFIG)
    return changed


def _wrong_broker(broker: Broker) -> str:
    if broker.key and not broker.certificate:
        return "broker.key is set and broker.certificate is missing; both belong together"
    if not broker.tls_used and (broker.ca or broker.certificate):
        return "broker.ca and broker.certificate have no meaning without TLS; set broker.tls = true"
    return ""


def _wrong_api(api: HttpApi) -> str:
    if api.enabled and not api.tokens_file and not is_this_machine(api.host):
        return f"others reach {api.host}: api.tokens_file is needed (store-gateway hub-token)"
    return ""


def _wrong_root(config: HubConfig) -> str:
    if config.intake.amqp.hosts and set(config.root) & set(".*"):
        # RabbitMQ writes the levels of a topic with dots, and takes dots for levels.
        return f"root is {config.root!r}; with intake.amqp it may not hold . and *"
    return ""


def _unnamed(config: HubConfig) -> str:
    for share in config.share:
        if not (share.name and share.collections and share.writers):
            return "each [[share]] needs a name, collections and writers"
    return ""
