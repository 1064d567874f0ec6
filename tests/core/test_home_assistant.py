"""What Home Assistant is told of a gateway."""

from gateway.core.bridge_topics import Topics
from gateway.core.home_assistant import discovery, discovery_topic


def test_a_gateway_is_a_device_with_all_its_figures() -> None:
    topics = Topics("store-gateway", bytes(16), b"\x02" * 16)
    gateway = "02" * 16
    assert discovery_topic(gateway) == f"homeassistant/device/store_gateway_{gateway}/config"
    said = discovery(topics, gateway, "Kitchen", "1.2")
    assert said["device"]["name"] == "Kitchen" and said["device"]["sw_version"] == "1.2"
    assert said["origin"]["name"]
    parts = said["components"]
    assert set(parts) == {
        "online", "peers", "documents", "backlog", "last_sync", "version", "state"
    }  # fmt: skip
    assert parts["online"]["platform"] == "binary_sensor"
    assert "availability_topic" not in parts["online"]
    assert parts["peers"]["value_template"] == "{{ value_json.peers | default(none) }}"
    assert parts["last_sync"]["device_class"] == "timestamp"
    assert len({part["unique_id"] for part in parts.values()}) == len(parts)
    assert all(part["state_topic"] == topics.health for part in parts.values())
