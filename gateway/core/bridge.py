"""The bridge to a cloud: what it sends and hears as values, how it is, when it tries again.

docs/mqtt.md. Nothing here knows a library or a clock.
"""

from dataclasses import dataclass
from typing import Any

# After a failure it is tried again after so long, then after twice as long, up to the longest.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
# A connection that lasted this long was a good one: the next pause is the first again.
STEADY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Publication:
    """A message of ours. ``correlation`` goes with an answer (MQTT 5.0 section 3.3.2.3.6).

    ``heard``: it is of no use where nobody listens.
    """

    topic: str
    payload: bytes
    retain: bool = False
    correlation: bytes = b""
    heard: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the broker, whatever it holds.

    ``answer_topic``: where its sender wants the answer, or ""; ``receipt`` is the connection's own.
    """

    topic: str
    payload: bytes
    retained: bool = False
    answer_topic: str = ""
    correlation: bytes = b""
    receipt: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Cause:
    """``what`` is so and what to ``do``; ``broken``: somebody has to do something."""

    code: str
    what: str
    do: str = ""
    broken: bool = False


OFF = Cause(
    "cloud-off",
    "The cloud is turned off in the settings",
    "Set enabled = true and a host in the section [mqtt] of the settings file to use it.",
)
NO_STORE = Cause(
    "cloud-no-store",
    "The cloud waits until this gateway is of a store",
    "Claim the gateway first (store-gateway claim).",
)
NO_NETWORK = Cause(
    "cloud-no-network",
    "There is no network, so there is no cloud; the store goes on without",
    "Nothing, if there is to be none; else look at the cable or the WLAN.",
)
CONNECTING = Cause("cloud-connecting", "The cloud is being connected", "Wait some seconds.")
OK = Cause("cloud-ok", "The cloud is connected")

_CAUSES = (
    Cause(
        "broker-name",
        "The name of the broker is not known in the network",
        "Look at mqtt.host in the settings, and whether this device has a name server.",
        broken=True,
    ),
    Cause(
        "broker-unreachable",
        "The broker does not answer",
        "Look whether the internet works, at mqtt.host and mqtt.port, and at firewalls between.",
        broken=True,
    ),
    Cause(
        "broker-no-mqtt",
        "Something answers where the broker should be, but not by MQTT",
        "Look at mqtt.port, and whether mqtt.tls is as the broker has it there.",
        broken=True,
    ),
    Cause(
        "broker-certificate",
        "The broker's certificate is not one that is trusted here",
        "Look at mqtt.ca and at mqtt.host, which must stand in the certificate; and at the clock of"
        " this device, by which a certificate may be too new or too old.",
        broken=True,
    ),
    Cause(
        "broker-own-certificate",
        "The broker does not take this gateway's certificate",
        "Look at mqtt.certificate and mqtt.key, and which authority the broker trusts.",
        broken=True,
    ),
    Cause(
        "broker-settings",
        "A file that the settings name for the cloud cannot be used",
        "Look at mqtt.ca, mqtt.certificate, mqtt.key and mqtt.password_file.",
        broken=True,
    ),
    Cause(
        "broker-not-authorised",
        "The broker does not know this gateway, or its password is wrong",
        "Look at mqtt.user and mqtt.password_file, and at the broker's list of users.",
        broken=True,
    ),
    Cause(
        "broker-topic-denied",
        "The broker does not let this gateway write, or listen to, some of its topics",
        "Look at the broker's access list (docs/mqtt.md).",
        broken=True,
    ),
    Cause(
        "broker-quota",
        "The broker takes no more of this gateway: a quota or rate is used up",
        "Look at the broker's limits.",
        broken=True,
    ),
    Cause(
        "broker-version",
        "The broker speaks neither MQTT 5 nor 3.1.1",
        "Use a newer broker.",
        broken=True,
    ),
    Cause(
        "broker-limits",
        "The broker takes no retained messages, or not at QoS 1, or only short ones",
        "Change its settings, or use another broker.",
        broken=True,
    ),
    Cause(
        "broker-busy",
        "The broker says that it is busy",
        "Nothing; it is tried again.",
    ),
    Cause(
        "broker-refused",
        "The broker refuses this gateway",
        "Its log says why.",
        broken=True,
    ),
    Cause(
        "broker-taken-over",
        "Another device connects to the broker under this gateway's id",
        "Look for a copy of this gateway's data folder; delete peer-id there, and pair it anew.",
        broken=True,
    ),
    Cause(
        "broker-silent",
        "The connection to the broker is dead, or too slow",
        "Nothing, if it comes back by itself; else look at the line to the internet.",
    ),
    Cause(
        "broker-lost",
        "The connection to the broker ended",
        "Nothing, if it comes back by itself; else the broker's log says why. There are brokers"
        " that hang up where their access list refuses a topic.",
    ),
    Cause(
        "broker-protocol",
        "The broker sent what is not MQTT, or more than is taken",
        "Look which broker it is; a proxy between may be the cause.",
        broken=True,
    ),
)
_HUB_CAUSES = (
    Cause(
        "hub-silent",
        "The hub does not answer; what is meant for it waits until it does",
        "Look whether the hub runs at this broker, and whether mqtt.root is its root; and at the"
        " broker's access list, as Mosquitto says nothing of topics that it keeps back.",
        broken=True,
    ),
    Cause(
        "hub-other-key",
        "The hub that answers has another key than the settings name",
        "Compare mqtt.hub with what hub-key prints at the hub; what is meant for it waits.",
        broken=True,
    ),
    Cause(
        "hub-no-certificate",
        "This device was paired and is no gateway of its store, so a hub does not hear it",
        "Claim it as a gateway, or take mqtt.hub out of the settings.",
        broken=True,
    ),
)
CAUSES = {cause.code: cause for cause in (*_CAUSES, *_HUB_CAUSES)}
_MISTAKE = Cause(
    "cloud-mistake",
    "A mistake of this program ended the connection to the cloud",
    "It is tried again; what happened is in the log.",
    broken=True,
)


def cause_of(code: str) -> Cause:
    """The cause for a code of a ``GatewayError``."""
    return CAUSES.get(code, _MISTAKE)


class Pauses:
    """How long is waited before the broker is tried again."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE_SECONDS

    def begin_anew(self) -> None:
        """There is reason to hope: the network is another one, or it went well."""
        self._next = FIRST_PAUSE_SECONDS

    def after(self, connected_seconds: float, chance: float) -> float:
        """The pause after a try that was connected for so long.

        ``chance``, from 0 to 1, shortens it by up to a half: thousands of gateways do not come
        back to a broker at the same moment.
        """
        if connected_seconds >= STEADY_SECONDS:
            self.begin_anew()
        pause = self._next * (1 - chance / 2)
        self._next = min(2 * self._next, LONGEST_PAUSE_SECONDS)
        return pause


def section(
    cause: Cause,
    since_seconds: float = 0.0,
    *,
    detail: str = "",
    broker: str = "",
    waiting: int = 0,
    retry_seconds: float | None = None,
    counts: dict[str, int] | None = None,
) -> dict[str, Any]:
    """What the status says of the cloud; ``detail``: what was met, more exactly.

    ``waiting``: documents that are not known to be at the broker; ``retry_seconds``: until it is
    tried again.
    """
    return {
        "state": cause.code,
        "sentence": f"{cause.what}{f' ({detail})' if detail else ''}.",
        "do": cause.do,
        "broken": cause.broken,
        "since_s": round(since_seconds, 1),
        "broker": broker,
        "waiting": waiting,
        "retry_s": None if retry_seconds is None else round(max(0.0, retry_seconds), 1),
        "counters": counts or {},
    }
