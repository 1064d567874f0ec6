"""A gateway as a device of Home Assistant, by its MQTT discovery.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from typing import Any

from gateway.core.bridge_topics import Topics

# Where Home Assistant says that it is there, and finds devices; its own defaults.
PREFIX = "homeassistant"
STATUS = f"{PREFIX}/status"
ONLINE = b"online"
_ORIGIN = "Store Gateway"


def discovery_topic(gateway: str) -> str:
    """Where the device is described; ``gateway``: its peer id."""
    return f"{PREFIX}/device/store_gateway_{gateway}/config"


def discovery(topics: Topics, gateway: str, name: str, version: str) -> dict[str, Any]:
    """The description: what there is to see, and where in the health message it stands."""
    device = {
        "identifiers": [f"store_gateway_{gateway}"],
        "name": name,
        "manufacturer": _ORIGIN,
        "model": _ORIGIN,
        "sw_version": version,
    }
    components = {
        "online": {
            "platform": "binary_sensor",
            "name": "Online",
            "device_class": "connectivity",
            "value_template": "{{ 'ON' if value_json.online else 'OFF' }}",
        },
        "peers": _sensor("Peers", "peers", state_class="measurement"),
        "documents": _sensor("Documents", "documents", state_class="measurement"),
        "backlog": _sensor("Backlog", "backlog", state_class="measurement"),
        "last_sync": _sensor("Last sync", "last_sync", device_class="timestamp"),
        "version": _sensor("Version", "version"),
        "state": _sensor("State", "sentence"),
    }
    away = {
        "availability_topic": topics.health,
        "availability_template": "{{ 'online' if value_json.online else 'offline' }}",
    }
    for key, component in components.items():
        component["unique_id"] = f"store_gateway_{gateway}_{key}"
        component["state_topic"] = topics.health
        if key != "online":
            component |= {"entity_category": "diagnostic", **away}
    return {
        "device": device,
        "origin": {"name": _ORIGIN, "sw_version": version},
        "components": components,
        "qos": 1,
    }


def _sensor(name: str, key: str, **more: str) -> dict[str, Any]:
    template = f"{{{{ value_json.{key} | default(none) }}}}"
    return {"platform": "sensor", "name": name, "value_template": template, **more}
