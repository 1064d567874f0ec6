"""The demo in a real browser: an order from kiosk to kitchen, through cut, kill and reload."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import GatewayProcess, eventually
from tests.support.node import NodeClient
from tests.support.store import Pairing, command, run

pytestmark = pytest.mark.browser

KEPT = "Working offline. Everything is kept on this device and sent later."
REFUSED = "Not let in yet. Everything is kept on this device until it is paired."


class Windows:
    """Browser windows, each with storage of its own."""

    def __init__(self, node: NodeClient) -> None:
        self._node = node

    def do(self, verb: str, window: str, **arguments: Any) -> Any:
        return self._node.call(verb, window=window, **arguments)

    def text(self, window: str, selector: str) -> str:
        return "\n".join(self.do("text", window, selector=selector))

    def link(self, window: str) -> str:
        return self.text(window, "#link")

    def order(self, window: str, dish: str) -> None:
        self.do("click", window, selector=f".item:has-text('{dish}')")
        self.do("click", window, selector="#send")

    def errors(self) -> list[str]:
        # A browser logs every refused connection while the gateway is gone.
        return [
            e
            for e in self._node.call("errors")
            if "WebSocket connection" not in e and "ERR_CONNECTION_REFUSED" not in e
        ]


def test_an_order_reaches_the_kitchen_whatever_happens(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "data", "--pages") as gateway,
        NodeClient("windows.mjs") as node,
    ):
        windows = Windows(node)
        pages = gateway.facts["pages"]
        windows.do("open", "kiosk", url=f"{pages}kiosk")
        windows.do("open", "kitchen", url=f"{pages}kitchen")
        eventually(lambda: windows.link("kiosk") == windows.link("kitchen") == "Connected")

        windows.do("click", "kiosk", selector="#sample")
        windows.order("kiosk", "Grilled chicken")
        eventually(lambda: "Grilled chicken" in windows.text("kitchen", "#tickets"))
        eventually(lambda: "Saved in the store" in windows.text("kiosk", "#recent"))

        # The kitchen runs an older schema: what it does not know stays in the order.
        windows.do("click", "kitchen", selector=".ticket button")
        eventually(lambda: "Cooking" in windows.text("kiosk", "#recent"))

        windows.do("run", "kiosk", script="navigator.serviceWorker.ready.then(() => true)")
        gateway.kill()
        eventually(lambda: windows.link("kiosk") == KEPT)
        windows.order("kiosk", "Veggie burger")
        windows.order("kiosk", "Veggie burger")
        # Each of them, not only the newest.
        eventually(lambda: windows.text("kiosk", "#recent").count("Kept on this device") == 2)
        eventually(lambda: "Kept on this device" in windows.text("kiosk", "#recent"))
        windows.do("reload", "kiosk")
        eventually(lambda: "Kept on this device" in windows.text("kiosk", "#recent"))
        assert "Veggie burger" not in windows.text("kitchen", "#tickets")

        gateway.start()
        eventually(lambda: "Veggie burger" in windows.text("kitchen", "#tickets"), 60)
        eventually(lambda: "Saved in the store" in windows.text("kiosk", "#recent"), 60)
        assert windows.text("kitchen", "#tickets").count("Grilled chicken") == 1
        fields = windows.do(
            "run", "kiosk",
            script="""import('/client/store-gateway.browser.js').then(async ({ connect }) => {
              const port = document.querySelector('meta[name=sync-port]').content
              const url = `ws://${location.hostname}:${port}/mesh`
              const store = connect({ url, offline: false })
              const orders = store.doc('orders/board').getMap('orders')
              await store.whenSynced('orders/board')
              return [...orders.values()].map((order) => order.toJSON())
            })""",
        )  # fmt: skip
        cooked = next(order for order in fields if order["status"] == "cooking")
        assert cooked["schema"] == 3 and cooked["service"] == "here"
        assert cooked["lines"][0]["station"] == "grill"
        assert windows.errors() == []


def test_two_nurses_edit_one_note(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "data", "--pages") as gateway,
        NodeClient("windows.mjs") as node,
    ):
        windows = Windows(node)
        pages = gateway.facts["pages"]
        for nurse in ("ada", "bea"):
            windows.do("open", nurse, url=f"{pages}clinic")
        windows.do("fill", "ada", selector="#patient-name", value="Amina Diallo")
        windows.do("click", "ada", selector="#add button")
        eventually(lambda: "Amina Diallo" in windows.text("bea", "#patients"))
        windows.do("click", "bea", selector="#patients button")
        windows.do("type", "ada", selector="#text", value="Fever. ")
        eventually(lambda: windows.do("value", "bea", selector="#text") == "Fever. ")
        windows.do("type", "ada", selector="#text", value="A")
        windows.do("run", "bea", script="document.getElementById('text').setSelectionRange(0, 0)")
        windows.do("type", "bea", selector="#text", value="B")

        def notes() -> list[str]:
            return [windows.do("value", nurse, selector="#text") for nurse in ("ada", "bea")]

        eventually(lambda: len(set(notes())) == 1 and {"A", "B"} <= set(notes()[0]))
        eventually(lambda: "Also here" in windows.text("ada", "#present"))
        eventually(lambda: windows.text("ada", "#note-state") == "Saved in the store")
        assert windows.errors() == []


def test_the_status_page_shows_devices_and_says_when_nobody_answers(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "data", "--pages", "--name", "Bar <1>") as gateway,
        NodeClient("windows.mjs") as node,
    ):
        windows = Windows(node)
        pages = gateway.facts["pages"]
        windows.do("open", "kiosk", url=f"{pages}kiosk")
        windows.do("open", "status", url=f"{pages}status")
        eventually(lambda: "kiosk" in windows.text("status", "#sessions"))
        assert windows.link("status") == "Everything works."
        assert windows.text("status", "#name") == "Bar <1>"
        assert "Bluetooth\noff" in windows.text("status", "#cards")
        gateway.kill()
        eventually(lambda: "does not answer" in windows.link("status"))


def test_a_phone_is_paired_by_a_typed_code_and_shut_out(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "data", "--pages") as gateway,
        NodeClient("windows.mjs") as node,
    ):
        run(gateway.folder, "claim")
        windows = Windows(node)
        windows.do("open", "phone", url=f"{gateway.facts['pages']}kiosk", width=360, height=740)
        eventually(lambda: windows.link("phone") == REFUSED)
        assert "not in the store yet" in windows.text("phone", "#pair-why")
        wide = "document.documentElement.scrollWidth <= innerWidth"
        assert windows.do("run", "phone", script=wide)
        windows.do("fill", "phone", selector="#pair-code", value="no code")
        windows.do("click", "phone", selector="#pair-send")
        eventually(lambda: "not a pairing code" in windows.text("phone", "#pair-told"))
        windows.do("click", "phone", selector="#sample")
        windows.order("phone", "Grilled chicken")
        eventually(lambda: "Kept on this device" in windows.text("phone", "#recent"))
        with Pairing(gateway.folder) as pairing:
            windows.do("fill", "phone", selector="#pair-code", value=pairing.code)
            windows.do("click", "phone", selector="#pair-send")
            eventually(lambda: windows.link("phone") == "Connected")
            peer = pairing.end()["peer"]
        assert windows.do("run", "phone", script="document.getElementById('pair').hidden")
        eventually(lambda: "Saved in the store" in windows.text("phone", "#recent"))
        windows.do("reload", "phone")
        eventually(lambda: windows.link("phone") == "Connected")
        command(gateway.folder, "revoke", peer)
        eventually(lambda: windows.link("phone") == REFUSED)
        assert "With a new pairing code" in windows.text("phone", "#pair-why")
        assert windows.errors() == []


def test_bluetooth_is_offered_where_the_browser_has_it(tmp_path: Path) -> None:
    nobody = "Object.assign(new Error('cancelled'), { name: 'NotFoundError' })"
    value = f"{{ requestDevice: () => Promise.reject({nobody}) }}"
    before = "Object.defineProperty(navigator, 'bluetooth', {{ value: {} }})"
    with (
        GatewayProcess(tmp_path / "data", "--pages") as gateway,
        NodeClient("windows.mjs") as node,
    ):
        windows = Windows(node)
        url = f"{gateway.facts['pages']}kiosk"
        windows.do("open", "without", url=url, before=before.format("undefined"))
        windows.do("open", "with", url=url, before=before.format(value), width=360, height=740)
        eventually(lambda: windows.link("with") == windows.link("without") == "Connected")
        hidden = "document.getElementById('bluetooth').hidden"
        assert windows.do("run", "without", script=hidden)
        assert not windows.do("run", "with", script=hidden)
        wide = "document.documentElement.scrollWidth <= innerWidth"
        assert windows.do("run", "with", script=wide)
        windows.do("click", "with", selector="#bluetooth")
        told = "Bluetooth did not work: no gateway was chosen, or none is near."
        eventually(lambda: windows.text("with", "#notice") == told)
        gatt = "{ connect: () => Promise.reject(new Error('far')), disconnect() {} }"
        chosen = f"Promise.resolve(Object.assign(new EventTarget(), {{ id: 'far', gatt: {gatt} }}))"
        windows.do("run", "with", script=f"navigator.bluetooth.requestDevice = () => {chosen}; 0")
        windows.do("click", "with", selector="#bluetooth")
        eventually(lambda: windows.text("with", "#bluetooth") == "Choose another gateway")
        assert windows.do("run", "with", script="document.getElementById('notice').hidden")
        assert windows.do("run", "with", script=wide)
        assert windows.link("with") == "Connected"
        assert windows.errors() == []
