"""Settings: frozen dataclasses from one TOML file, with all defaults.

Every error names the file, the key and what would be right. Only ``app`` and
``__main__`` read this; everyone else is handed plain values.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.core.allowance import MIN_BYTES_PER_SECOND
from gateway.core.announcement import is_this_machine
from gateway.core.bridge_items import MAX_WANTED
from gateway.core.errors import GatewayError, PeerError
from gateway.core.messages import MAX_PAIR_VALUE_BYTES
from gateway.core.names import check_collection
from gateway.core.opening import PLACES
from gateway.settings import Rule as _Rule
from gateway.settings import are_nodes as _are_nodes
from gateway.settings import filled as _filled
from gateway.settings import nodes as _nodes
from gateway.settings import read_toml
from gateway.settings import text as _text
from gateway.settings import whole as _whole

EX_USAGE = 64
EX_CONFIG = 78
DEFAULT_PORT = 8787
DEFAULT_PAGES_PORT = 8788
GIB = 1_073_741_824
MIB = 1_048_576
# All collections, where some are named.
ALL = "*"
# A topic has 65,535 bytes of MQTT and 255 of AMQP 0.9.1; what goes to and from a hub has 71 more.
MAX_ROOT_BYTES = 180
# Of MQTT it might be 65,535 bytes.
MAX_USER = 1_000


def _is_name(value: Any) -> bool:
    try:
        return isinstance(value, str) and 0 < len(value.encode()) <= MAX_PAIR_VALUE_BYTES
    except UnicodeEncodeError:
        return False


def _is_priority(item: tuple[str, Any]) -> bool:
    collection, value = item
    return _is_collection(collection) and type(value) is int and -100 <= value <= 100


def _is_collection(value: Any) -> bool:
    try:
        check_collection(value if isinstance(value, str) else "")
    except PeerError:
        return False
    return True


def _are_named(value: Any) -> bool:
    return isinstance(value, list) and ALL not in value and all(map(_is_collection, value))


def _is_host(value: Any) -> bool:
    if not isinstance(value, str) or not value.isprintable() or set(value) & set(" /@[]?#"):
        return False
    return bool(value) and (":" not in value or _is_ipv6(value))


def _is_ipv6(text: str) -> bool:
    try:
        return bool(IPv6Address(text))
    except ValueError:
        return False


def _is_root(value: str) -> bool:
    levels = value.split("/")
    fits = value.isprintable() and len(value.encode()) <= MAX_ROOT_BYTES
    return fits and not set(value) & set("+#$") and all(levels)


_NAME = {"rule": _Rule(f"a name for people, at most {MAX_PAIR_VALUE_BYTES} bytes", _is_name)}
_FLAG = {"rule": _Rule("true or false", lambda value: isinstance(value, bool))}
_TEXTS = {
    "rule": _Rule(
        "a list of texts",
        lambda value: isinstance(value, list) and all(isinstance(text, str) for text in value),
    )
}
_PRIORITIES = {
    "rule": _Rule(
        "a section of collections with whole numbers from -100 to 100, such as orders = 10",
        lambda value: isinstance(value, dict) and all(map(_is_priority, value.items())),
    )
}
_RATE = {
    "rule": _Rule(
        f"0 or a whole number from {MIN_BYTES_PER_SECOND}",
        lambda value: type(value) is int and (value == 0 or value >= MIN_BYTES_PER_SECOND),
    )
}
_BUDGETS = {
    "rule": _Rule(
        "a section of roles with bytes a second from 1000, such as kiosk = 50000",
        lambda value: (
            isinstance(value, dict)
            and all(type(rate) is int and rate >= MIN_BYTES_PER_SECOND for rate in value.values())
        ),
    )
}
_ADAPTER = {
    "rule": _Rule(
        'the name of a Bluetooth adapter such as "hci0", or "" for any',
        lambda value: isinstance(value, str) and re.fullmatch(r"(hci\d{1,3})?", value) is not None,
    )
}
HOST = {"rule": _Rule('a name or address such as "broker.example", without a port', _is_host)}
_HOSTS = {
    "rule": _Rule(
        'the name or address of a broker such as "broker.example", without its port, or a list of '
        'those of one cluster such as ["a.example", "b.example:8884"]',
        lambda value: _is_host(value) or (bool(value) and _are_nodes(value)),
    )
}
_USER = {
    "rule": _Rule(
        f"a text without control characters, at most {MAX_USER}",
        lambda value: isinstance(value, str) and value.isprintable() and len(value) <= MAX_USER,
    )
}
_MAYBE = {"rule": _Rule("a text", lambda value: isinstance(value, str))}
_ROOT = {
    "rule": _Rule(
        'levels of a topic such as "shops/north", without + # and $, at most '
        f"{MAX_ROOT_BYTES} bytes",
        lambda value: isinstance(value, str) and _is_root(value),
    )
}
_COLLECTIONS = {
    "rule": _Rule(
        'a list of collections such as ["orders"]',
        lambda value: isinstance(value, list) and all(map(_is_collection, value)),
    )
}
_HUB = {
    "rule": _Rule(
        'the public key of a hub, 64 hex digits, or ""',
        lambda value: (
            isinstance(value, str) and re.fullmatch(r"([0-9a-f]{64})?", value) is not None
        ),
    )
}
_SENT = {
    "rule": _Rule(
        'a list of collections such as ["orders"], or ["*"] for all',
        lambda value: value == [ALL] or _are_named(value),
    )
}
_TAKEN = {"rule": _Rule('a list of collections such as ["menu"], each by its name', _are_named)}
_NAMES = {
    "rule": _Rule(
        'a list of host names such as ["shop.example"]',
        lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
    )
}


def default_data(name: str = "store-gateway") -> str:
    """The data folder of a user's own gateway (XDG Base Directory Specification 0.8)."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(state) / name)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where peers reach the gateway; not at all unless enabled."""

    enabled: bool = field(default=True, metadata=_FLAG)
    host: str = field(default="127.0.0.1", metadata=_text('an address such as "0.0.0.0"'))
    port: int = field(default=DEFAULT_PORT, metadata=_whole(0, 65_535))
    hosts: tuple[str, ...] = field(default=("localhost",), metadata=_NAMES)
    max_links: int = field(default=4_000, metadata=_whole(1, 100_000))


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages beside the gateway."""

    enabled: bool = field(default=True, metadata=_FLAG)
    port: int = field(default=DEFAULT_PAGES_PORT, metadata=_whole(0, 65_535))


@dataclass(frozen=True, slots=True)
class Store:
    """Where and how much is kept; sizes in bytes of updates."""

    folder: str = field(default_factory=default_data, metadata=_text("a folder"))
    max_bytes: int = field(default=16 * GIB, metadata=_whole(1_048_576, 1024 * GIB))
    max_collection_bytes: int = field(default=8 * GIB, metadata=_whole(65_536, 1024 * GIB))
    max_peer_daily_bytes: int = field(default=2 * GIB, metadata=_whole(65_536, 1024 * GIB))


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in. Open: everyone who reaches the port."""

    open: bool = field(default=True, metadata=_FLAG)


@dataclass(frozen=True, slots=True)
class Mesh:
    """Other peers to call, and what to subscribe to: nothing means everything.

    ``connect``: addresses such as ``ws://192.168.1.20:8787/mesh`` or ``192.168.1.20``;
    ``subscribe``: a collection each, and a selector after it if not all of it is wanted;
    ``discover``: find peers in the local network, and be found, where that makes sense
    (``Config.why_not_discover``).
    """

    connect: tuple[str, ...] = field(default=(), metadata=_TEXTS)
    subscribe: tuple[str, ...] = field(default=(), metadata=_TEXTS)
    discover: bool = field(default=True, metadata=_FLAG)


@dataclass(frozen=True, slots=True)
class Bluetooth:
    """Phones by Bluetooth LE (docs/bluetooth.md); only once the gateway is of a store.

    ``adapter``: its name, such as ``hci0``; empty: the first that works. ``phones``: most at once.
    """

    enabled: bool = field(default=False, metadata=_FLAG)
    adapter: str = field(default="", metadata=_ADAPTER)
    phones: int = field(default=PLACES, metadata=_whole(1, PLACES))


@dataclass(frozen=True, slots=True)
class Mqtt:
    """The broker of a cloud (docs/mqtt.md); only once the gateway is of a store.

    ``host``: several are nodes of one cluster, of which any will do, and may have ports of their
    own. ``port``: 0 stands for 8883 with TLS and 1883 without. ``ca``: trusted instead of the
    system's certificates. ``json``: collections that are shown there; ``commands``: those that
    commands from there may read and write. ``hub``: the public key of a hub, with which updates are
    exchanged: those of the collections ``up`` are sent, and those it sends are taken in ``down``.
    ``outbox_bytes``: of what waits for it at most.
    """

    enabled: bool = field(default=False, metadata=_FLAG)
    host: str | tuple[str, ...] = field(default="", metadata=_HOSTS)
    port: int = field(default=0, metadata=_whole(0, 65_535))
    tls: bool = field(default=True, metadata=_FLAG)
    ca: str = field(default="", metadata=_MAYBE)
    certificate: str = field(default="", metadata=_MAYBE)
    key: str = field(default="", metadata=_MAYBE)
    user: str = field(default="", metadata=_USER)
    password_file: str = field(default="", metadata=_MAYBE)
    root: str = field(default="store-gateway", metadata=_ROOT)
    json: tuple[str, ...] = field(default=(), metadata=_COLLECTIONS)
    commands: tuple[str, ...] = field(default=(), metadata=_COLLECTIONS)
    home_assistant: bool = field(default=False, metadata=_FLAG)
    hub: str = field(default="", metadata=_HUB)
    up: tuple[str, ...] = field(default=(ALL,), metadata=_SENT)
    down: tuple[str, ...] = field(default=(), metadata=_TAKEN)
    outbox_bytes: int = field(default=256 * MIB, metadata=_whole(MIB, 64 * GIB))

    @property
    def port_used(self) -> int:
        """The port, also where none is named."""
        return self.port or (8_883 if self.tls else 1_883)

    @property
    def nodes(self) -> tuple[tuple[str, int], ...]:
        """Name and port of each node of the broker."""
        return _nodes(self.host, self.port_used)


@dataclass(frozen=True, slots=True)
class Budget:
    """What this device can take, as it tells others; 0: no budget. ``storage`` in bytes.

    ``evict``: forget at once what it need not keep (``gateway.runtime.eviction``).
    """

    bytes_per_second: int = field(default=0, metadata=_RATE)
    documents: int = field(default=0, metadata=_whole(0, 1_000_000_000))
    storage: int = field(default=0, metadata=_whole(0, 1024 * GIB))
    evict: bool = field(default=False, metadata=_FLAG)


@dataclass(frozen=True, slots=True)
class Config:
    """All settings."""

    name: str = field(default="gateway", metadata=_NAME)
    listen: Listen = field(default_factory=Listen)
    pages: Pages = field(default_factory=Pages)
    store: Store = field(default_factory=Store)
    access: Access = field(default_factory=Access)
    mesh: Mesh = field(default_factory=Mesh)
    bluetooth: Bluetooth = field(default_factory=Bluetooth)
    mqtt: Mqtt = field(default_factory=Mqtt)
    budget: Budget = field(default_factory=Budget)
    # What goes first to a slow peer, by collection; 0 for others.
    priorities: Mapping[str, int] = field(default_factory=dict, metadata=_PRIORITIES)
    # Bytes a second that are sent to devices of a role, at most.
    bytes_per_second: Mapping[str, int] = field(default_factory=dict, metadata=_BUDGETS)

    @property
    def why_not_discover(self) -> str:
        """Why nobody is looked for in the network, or "" if somebody is."""
        if not self.mesh.discover:
            return "mesh.discover is off"
        if self.listen.enabled and is_this_machine(self.listen.host):
            return "it listens on this machine only, not in the network (--lan)"
        if self.mesh.connect and not self.listen.enabled:
            return "it was told whom to call (--connect)"
        return ""


def load(path: Path | None) -> Config:
    """The settings in a file, or the defaults. Raises ``GatewayError`` (``config-…``)."""
    if path is None:
        return Config()
    values = read_toml(path)
    return override(Config(), values, str(path))


def override(config: Config, values: Mapping[str, Any], source: str) -> Config:
    """``config`` with some values replaced; errors name ``source`` as the file."""
    changed: Config = _filled(config, values, source, "")
    port = changed.listen.port
    if port and changed.pages.enabled and port == changed.pages.port:
        sentence = f"{source}: listen.port and pages.port are both {port}; each needs its own"
        raise GatewayError("config-value", sentence, EX_CONFIG)
    if wrong := _wrong_mqtt(changed.mqtt):
        raise GatewayError("config-value", f"{source}: {wrong}", EX_CONFIG)
    return changed


def _wrong_mqtt(mqtt: Mqtt) -> str:
    if mqtt.enabled and not mqtt.host:
        return "mqtt.enabled is true and mqtt.host is missing; name the broker"
    if mqtt.key and not mqtt.certificate:
        return "mqtt.key is set and mqtt.certificate is missing; both belong together"
    if not mqtt.tls and (mqtt.ca or mqtt.certificate):
        return "mqtt.tls is false, so mqtt.ca and mqtt.certificate have no meaning; leave them out"
    if mqtt.down and not mqtt.hub:
        return "mqtt.down is set and mqtt.hub is missing; name the key of the hub"
    if len(mqtt.down) > MAX_WANTED:
        return f"mqtt.down names more than {MAX_WANTED} collections"
    return ""


def peer_url(text: str) -> str:
    """The URL of a peer from what people write: an address, with or without a port, or a URL.

    Raises ``GatewayError`` ``address``.
    """
    try:
        parts = urlsplit(text if "://" in text else f"ws://{_bracketed(text)}")
        if parts.scheme in ("ws", "wss") and parts.hostname and not parts.username:
            port = parts.port or (443 if parts.scheme == "wss" else DEFAULT_PORT)
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            return f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/') or '/mesh'}"
    except ValueError:
        pass
    sentence = (
        f"{text!r} is not the address of a peer; right is 192.168.1.20 or ws://host:8787/mesh"
    )
    raise GatewayError("address", sentence, EX_USAGE)


def _bracketed(text: str) -> str:
    """An IPv6 address as it stands in a URL; other text as it is."""
    try:
        return f"[{IPv6Address(text)}]"
    except ValueError:
        return text
