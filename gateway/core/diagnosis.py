"""Why two devices do not see each other: what was looked at in, findings for people out.

Each finding says what is so, why that matters, and what to do; its code is for scripts. The
clock is not looked at: nothing in the protocol expires (docs/protocol.md section 10).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address, ip_interface

from gateway.core.announcement import Address
from gateway.core.errors import Code
from gateway.core.text import shown

# Characters of what another device gave as its reason; a terminal shows them.
MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """``what`` is so, ``why`` two devices do not meet by it, and what to ``do``."""

    code: str
    what: str
    why: str
    do: str


class Port(Enum):
    """What an attempt to connect met; the value is the code of the finding."""

    OPEN = "open"
    CLOSED = "port-closed"
    FILTERED = "filtered"
    NO_HOST = "no-such-host"
    NO_ROUTE = "no-route"
    NO_NAME = "no-such-name"


@dataclass(frozen=True, slots=True)
class Seen:
    """A neighbour as the running gateway lists it; ``store`` is the hint it announces."""

    peer: str
    addresses: tuple[str, ...]
    state: str
    store: str
    problem: str


@dataclass(frozen=True, slots=True)
class Device:
    """This device; ``store`` is the hint of its store. ``off``: why it looks for nobody, or ""."""

    folder: str
    running: bool
    peer: str
    store: str
    off: str
    neighbours: tuple[Seen, ...] = ()
    links: int = 0
    # What is wrong with its Bluetooth, if it is on: code, what and what to do.
    radio: tuple[str, str, str] | None = None
    # The same of the cloud.
    cloud: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One multicast question; ``echoed``: this device heard it itself; ``peers`` who answered."""

    ip: str
    echoed: bool
    peers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Greeting:
    """How a mesh session went: the id at the other end, and with which code it ended, or 0.

    ``told``: the other side ended it.
    """

    peer: str
    code: int = 0
    reason: str = ""
    told: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Whom this device is to reach. ``greeting`` is None where nothing spoke the protocol."""

    name: str
    ips: tuple[str, ...]
    port: Port
    greeting: Greeting | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was looked at."""

    device: Device
    addresses: Sequence[Address]
    asked: Sequence[Asked]
    target: Target | None = None


_PORTS = {
    Port.CLOSED: (
        "{} is there, but nothing listens on that port",
        "The gateway does not run there, uses another port, or listens on its own machine only.",
        "Start it there with --lan, and compare the port with what it prints.",
    ),
    Port.FILTERED: (
        "{} does not answer",
        "Something on the way drops the connection: mostly a firewall, or a network for guests.",
        "Let TCP to this port through on that device, and put both in the same network.",
    ),
    Port.NO_HOST: (
        "There is no device at {}",
        "It is switched off, has another address now, or the network keeps its devices apart.",
        "Look up its address there; turn client isolation off in the access point.",
    ),
    Port.NO_ROUTE: (
        "{} is in a network that this device has no way to",
        "No route leads there from here.",
        "Connect both to the same network, or set up a route.",
    ),
    Port.NO_NAME: (
        "The name {} is not known here",
        "No name server of this network knows it.",
        "Use the address instead, such as 192.168.1.20.",
    ),
}  # fmt: skip
_UNPAIRED = (
    "not-paired",
    "This device is of no store, and {} is",
    "A gateway that was claimed lets in members of its store only.",
    "Run pair there, then peer --pair CODE here; for a gateway: claim --recovery-code.",
)
_THEY_UNPAIRED = (
    "other-not-paired",
    "{} is of no store yet",
    "This device is of a store, and links to members of it only.",
    "Pair it: run pair here, and use the code there; for a gateway: claim --recovery-code.",
)
_OTHER_STORE = (
    "other-store",
    "{} belongs to another store",
    "Devices of different stores never link.",
    "Call a gateway of this store, or pair one of the two anew in the store of the other.",
)
_VERSION = (
    "version",
    "{} speaks no version of the protocol that this device speaks",
    "One of the two is too old for the other.",
    "Update the older one.",
)
_REVOKED = (
    "revoked",
    "{} says that this device was shut out",
    "Somebody revoked it.",
    "Pair it again with the store.",
)
_ITSELF = (
    "itself",
    "{} is this device itself, or has a copy of its data folder",
    "Two devices with the same id cannot be told apart.",
    "Name the other device; after a copy delete the folder's peer-id and pair it anew.",
)
_NO_ADDRESS = (
    "other-network",
    "{} names no address that can be called from here",
    "It is in another network than this device.",
    "Put both in one network, or name an address of it with --connect.",
)
_BY_CODE = {
    Code.OTHER_STORE: _OTHER_STORE, Code.VERSION: _VERSION, Code.REVOKED: _REVOKED,
    Code.TOO_MANY: _ITSELF,
}  # fmt: skip


def diagnose(facts: Facts) -> list[Finding]:
    """What keeps this device from seeing others, or the target; empty where all is well."""
    return [
        *_of_device(facts.device),
        *(() if facts.target else _of_ways(facts.device)),
        *_of_network(facts),
        *(_of_target(facts, facts.target) if facts.target else ()),
        *_of_neighbours(facts),
    ]


def is_near(ip: str, addresses: Iterable[Address]) -> bool:
    """Whether an address is in a network that this device is in itself."""
    plain = ip_address(ip.partition("%")[0])
    return any(plain in ip_interface(f"{own.ip}/{own.prefix}").network for own in addresses)


def _of_device(device: Device) -> Iterator[Finding]:
    if not device.running:
        yield Finding(
            "not-running",
            f"No gateway and no peer runs on {device.folder}",
            "Only a running one calls others and is found by them.",
            "Start it with run or peer, or name its data folder with --data.",
        )
    # Who was told whom to call, and is linked, lacks nothing.
    if device.off and not device.links:
        yield Finding(
            "discovery-off",
            "This device looks for nobody in the network",
            f"{device.off[0].upper()}{device.off[1:]}.",
            "Start it with --lan and without --no-discovery; or name an address with --connect.",
        )


def _of_ways(device: Device) -> Iterator[Finding]:
    if device.radio is not None:
        code, what, do = device.radio
        yield Finding(code, what, "Phones do not reach this device by Bluetooth.", do)
    if device.cloud is not None:
        code, what, do = device.cloud
        yield Finding(code, what, "The store goes on; what is to be at the cloud waits.", do)


def _of_network(facts: Facts) -> Iterator[Finding]:
    if not any(address.usable for address in facts.addresses):
        yield Finding(
            "no-network",
            "This device is in no network with others",
            "No interface is up that can multicast; its cable or its WLAN may be off.",
            "Connect it, and look at its addresses with: ip address",
        )
        return
    deaf = [asked.ip for asked in facts.asked if not asked.echoed]
    if deaf:
        yield Finding(
            "multicast-blocked-here",
            f"This device does not hear its own multicast question on {', '.join(deaf)}",
            "Its own firewall drops multicast DNS.",
            "Let UDP port 5353 in and out, or name an address with --connect.",
        )
    elif not facts.device.off and not _hears_others(facts):
        yield from _nobody(facts)


def _hears_others(facts: Facts) -> bool:
    heard = frozenset[str]().union(*(asked.peers for asked in facts.asked))
    if facts.target is not None and facts.target.greeting is not None:
        return facts.target.greeting.peer in ("", *heard)
    return bool(heard - {facts.device.peer}) or facts.device.links > 0


def _nobody(facts: Facts) -> Iterator[Finding]:
    target = facts.target
    if target is None:
        yield Finding(
            "nobody-answers",
            "Nobody else answers in this network",
            "The other devices are off or in another network, look for nobody, or the network"
            " drops multicast, as those for guests do.",
            "Run doctor with the address of the device that should be here.",
        )
    elif target.greeting is not None and _is_beside(target, facts.addresses):
        yield Finding(
            "multicast-blocked",
            f"{target.name} can be called, but does not answer a multicast question",
            "The network drops multicast between the two, or discovery is off there.",
            "Allow multicast in the access point or switch (IGMP snooping, client isolation),"
            f" or start with --connect {target.name}",
        )


def _is_beside(target: Target, addresses: Sequence[Address]) -> bool:
    """Whether it is another device in one of our networks."""
    own = {address.ip for address in addresses}
    return any(is_near(ip, addresses) and ip not in own for ip in target.ips)


def _of_target(facts: Facts, target: Target) -> Iterator[Finding]:
    if target.ips and not any(is_near(ip, facts.addresses) for ip in target.ips):
        yield Finding(
            "other-network",
            f"{target.name} is in another network than this device",
            "Multicast does not cross a router, so the two never find each other by themselves.",
            f"Put both in one network, or start with --connect {target.name}",
        )
    if target.port is not Port.OPEN:
        yield _finding((target.port.value, *_PORTS[target.port]), target.name)
    elif target.greeting is None:
        yield Finding(
            "not-a-gateway",
            f"What listens at {target.name} is no gateway and no peer",
            "Another program has this port, or a proxy is between.",
            "Compare the port with what the gateway prints when it starts (8787, not the pages').",
        )
    elif target.greeting.code:
        yield _refusal(facts.device, target.name, target.greeting)


def _refusal(device: Device, name: str, greeting: Greeting) -> Finding:
    known = next((texts for code, texts in _BY_CODE.items() if code == greeting.code), None)
    if greeting.code == Code.UNAUTHORISED and not device.store:
        known = _UNPAIRED
    elif greeting.code == Code.UNAUTHORISED and not greeting.told:
        known = _THEY_UNPAIRED
    if known is not None:
        return _finding(known, name)
    reason = shown(greeting.reason, MAX_REASON)
    return Finding(
        "not-let-in",
        f"{name} lets this device not in (code {greeting.code})",
        f"It says: {reason}" if greeting.told else f"The link ended: {reason}",
        "See the codes in docs/protocol.md; pair the device again if its ticket is not taken.",
    )


def _of_neighbours(facts: Facts) -> Iterator[Finding]:
    """Of those that the running gateway sees; where a target is named, of that alone."""
    target = facts.target
    for seen in facts.device.neighbours:
        if target is None or (target.greeting is None and set(seen.addresses) & set(target.ips)):
            yield from _of_neighbour(facts.device, seen)


def _of_neighbour(device: Device, seen: Seen) -> Iterator[Finding]:
    name, problem = f"The device {seen.peer[:8]}", shown(seen.problem, MAX_REASON)
    match seen.state:
        case "other-store" if not device.store:
            yield _finding(_UNPAIRED, name)
        case "other-store":
            yield _finding(_OTHER_STORE if seen.store else _THEY_UNPAIRED, name)
        case "version":
            yield _finding(_VERSION, name)
        case "no-address":
            yield _finding(_NO_ADDRESS, name)
        case state if state != "linked" and problem:
            yield Finding(
                "not-linked",
                f"{name} is seen, but no link to it opens",
                f"{problem[0].upper()}{problem[1:]}.",
                f"Run doctor with its address: {', '.join(seen.addresses)}",
            )


def _finding(texts: tuple[str, str, str, str], name: str) -> Finding:
    code, what, why, do = texts
    return Finding(code, what.format(name), why, do)
