"""The topics of one gateway of one store (docs/mqtt.md)."""

from urllib.parse import quote

# Bytes of a topic for an answer; the library takes any length.
MAX_ANSWER_TOPIC = 512
# What the gateway itself says stands here: nobody has it written by naming it for an answer.
_OURS = ("command", "down", "health", "json", "projected", "up")


class Topics:
    """``root``: what all stores of a broker have in common."""

    def __init__(self, root: str, store: bytes, peer: bytes) -> None:
        self._base = f"{root}/{store.hex()}"
        gateway = peer.hex()
        self.health = f"{self._base}/health/{gateway}"
        self.projected = f"{self._base}/projected/{gateway}"
        self.request = f"{self._base}/command/{gateway}/request"
        self.response = f"{self._base}/command/{gateway}/response"
        # To and from the hub, and where it says that it started.
        self.up = f"{self._base}/up/{gateway}"
        self.down = f"{self._base}/down/{gateway}"
        self.hub = f"{root}/hub"

    def json(self, document: str) -> str:
        """Where the content of a document is: collection and id, each percent-encoded."""
        collection, _, identity = document.partition("/")
        return f"{self._base}/json/{quote(collection, safe='')}/{quote(identity, safe='')}"

    def may_answer(self, topic: str) -> bool:
        """Whether an answer may go where its asker wants it: in its store, where nothing else is
        written by a gateway."""
        if topic == self.response:
            return True
        first = topic.removeprefix(f"{self._base}/").partition("/")[0]
        is_below = topic.startswith(f"{self._base}/") and first not in _OURS
        # A broker ends the connection for what MQTT 5.0 section 1.5.4 does not allow.
        is_sound = topic.isprintable() and not set(topic) & set("+#")
        return is_below and is_sound and len(topic.encode()) <= MAX_ANSWER_TOPIC


class HubTopics:
    """Those of the workers of a hub."""

    def __init__(self, root: str) -> None:
        # Of all gateways of all stores, and where gateways are told that a worker came or went.
        self.up = f"{root}/+/up/+"
        self.hub = f"{root}/hub"
