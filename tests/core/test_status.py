"""The status: names and figures, never content."""

import json

from gateway.core import bridge
from gateway.core.events import DocumentOpened, Subscribed, UpdateReceived
from gateway.core.hub import Hub, Quotas
from gateway.core.peer_graph import Reached
from gateway.core.radio import OK, STARTING, section
from gateway.core.records import StoredDocument, StoreStatus
from gateway.core.selector import Selector
from gateway.core.status import MAX_SUBSCRIPTIONS, Identity, Moment, status
from tests.core.edits import Author
from tests.core.sessions import RecordingSession

STORE = StoreStatus(3, 20, 2, 1, 65_536, 22, {"orders": 900}, "")
IDENTITY = Identity("1.0", "ab" * 16, True, {"mesh": "ws://here/mesh"}, name="Kitchen")


def test_what_it_says() -> None:
    hub = Hub(Quotas(1 << 20, 1 << 20, 1 << 20), {}, frozenset())
    ada = RecordingSession("ada")
    ada.about = {"app": "kiosk\0" + "x" * 500, "schema": "2"}
    hub.join(ada)
    for name in ("orders/1", "orders/2"):
        hub.loaded(name, StoredDocument(b"", ()))
        hub.handle(ada, DocumentOpened(name, b"\x00"))
    secret = "canary-4711"
    hub.handle(ada, UpdateReceived("orders/1", Author(1).set("a", secret), 1, False, False))
    hub.turn()
    hub.tick(5.0)
    for number in range(MAX_SUBSCRIPTIONS + 1):
        selector = Selector('{"station": "grill"}' if number == 0 else "")
        hub.link(ada, Subscribed(number + 1, "orders", selector))
    far = Reached(
        "ff" * 16, "ee" * 16, 2, True, 3, 60, {"app": "till\0"}, ("menu",) * 30, ("ee" * 16,)
    )
    apps = [{"app": "kiosk", "app-version": "", "schema": "2", "peers": 1, "seen_s": 0.0}]
    said = status(IDENTITY, Moment(5.0, 1, 40, "", {ada: 0.4}, [far], apps), hub, STORE)
    assert said["state"] == "ok" and said["sentence"] == "Everything works."
    assert said["name"] == "Kitchen"
    assert said["session_kinds"] == {ada.kind: 1} and said["session_count"] == 1
    assert said["apps"] == apps and said["graph_count"] == 1
    assert said["graph"] == [
        {
            "peer": "ff" * 16, "via": "ee" * 16, "hops": 2, "large": True, "round_trip_ms": 3,
            "since_s": 60, "about": {"app": "till\ufffd"}, "wants": ["menu"] * MAX_SUBSCRIPTIONS,
            "links": ["ee" * 16],
        }
    ]  # fmt: skip
    assert said["sessions"][0]["round_trip_ms"] == 0.4
    assert said["sessions"][0]["subscription_count"] == MAX_SUBSCRIPTIONS + 1
    first, *others = said["sessions"][0]["subscriptions"]
    assert first == {"collection": "orders", "selector": '{"station": "grill"}'}
    assert len(others) == MAX_SUBSCRIPTIONS - 1
    about = said["sessions"][0]["about"]
    assert about == {"app": "kiosk\ufffd" + "x" * 58, "schema": "2"}
    assert said["sessions"][0]["documents"] == 2 and said["sessions"][0]["since_s"] == 5.0
    assert [d["name"] for d in said["documents"]] == ["orders/1", "orders/2"]
    assert said["counters"] == {"updates": 1, "refused": 0, "forged": 0, "closed": {}}
    assert said["store"]["usage"] == {"orders": 900} and said["store"]["waiting"] == 1
    assert said["bluetooth"]["state"] == "bluetooth-off"
    assert secret not in json.dumps(said)


def test_trouble_comes_first() -> None:
    hub = Hub(Quotas(1, 1, 1), {}, frozenset())
    hub.loaded("a/b", StoredDocument(b"", ()))
    hub.rooms["a/b"].document = None
    said = status(IDENTITY, Moment(1.0, 0, 0, "the disk is full"), hub, STORE)
    assert said["state"] == "trouble" and said["sentence"] == "the disk is full"
    assert said["documents"][0]["early"] == 0


def test_the_radio_says_its_own() -> None:
    hub = Hub(Quotas(1, 1, 1), {}, frozenset())
    well = Moment(1.0, 0, 0, "", bluetooth=section(OK, 5.0, "hci0", 2))
    said = status(IDENTITY, well, hub, STORE)
    assert said["bluetooth"]["phones"] == 2 and said["sentence"] == "Everything works."
    starts = Moment(1.0, 0, 0, "", bluetooth=section(STARTING))
    said = status(IDENTITY, starts, hub, STORE)
    assert said["state"] == "ok" and said["sentence"] == "Everything but Bluetooth works."


def test_the_cloud_says_its_own() -> None:
    hub = Hub(Quotas(1, 1, 1), {}, frozenset())
    off = status(IDENTITY, Moment(1.0, 0, 0, ""), hub, STORE)["cloud"]
    assert off["state"] == "cloud-off" and not off["broken"]
    out = bridge.section(bridge.cause_of("broker-name"), waiting=2)
    said = status(IDENTITY, Moment(1.0, 0, 0, "", cloud=out), hub, STORE)
    assert said["state"] == "ok" and said["sentence"] == "Everything but the cloud works."
    assert said["cloud"]["waiting"] == 2
    both = Moment(1.0, 0, 0, "", bluetooth=section(STARTING), cloud=out)
    sentence = status(IDENTITY, both, hub, STORE)["sentence"]
    assert sentence == "Everything but Bluetooth and the cloud works."
