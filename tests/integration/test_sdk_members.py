"""The JavaScript SDK as a device of a store: paired, let in, shut out; never in the open."""

import json
import time
from functools import partial
from pathlib import Path

import pytest

from tests.support.gateway import GatewayProcess, eventually
from tests.support.node import NodeClient
from tests.support.store import Pairing, command, run

# Nothing is tried by itself after a final refusal; before it, a call came within a second.
QUIET_SECONDS = 3.0

pytestmark = pytest.mark.integration


def mesh(gateway: GatewayProcess) -> str:
    return f"ws://127.0.0.1:{gateway.port}"


def paired(device: NodeClient, gateway: GatewayProcess, *arguments: str) -> str:
    """Pair it by a typed code; its peer id."""
    with Pairing(gateway.folder, *arguments) as pairing:
        assert device.call("pair", code=pairing.code.lower().replace("-", " ")) is None
        return str(pairing.end()["peer"])


def is_(device: NodeClient, link: str, *, needs_pairing: bool = False) -> bool:
    state = device.call("state")
    return (state["link"], state["needsPairing"]) == (link, needs_pairing)


def stays_refused(device: NodeClient) -> bool:
    eventually(lambda: is_(device, "refused", needs_pairing=True))
    before = device.call("state")
    time.sleep(QUIET_SECONDS)
    return bool(device.call("state") == before)


def holds(gateway: GatewayProcess, order: str, dish: str) -> bool:
    found = run(gateway.folder, "get", order)
    return found.returncode == 0 and json.loads(found.stdout) == {"dish": dish}


def test_paired_by_a_typed_code_and_by_a_qr_code_and_back_without(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "gateway") as gateway,
        NodeClient("members.mjs", mesh(gateway)) as one,
        NodeClient("members.mjs", mesh(gateway)) as two,
    ):
        eventually(lambda: is_(one, "online") and is_(two, "online"))
        assert "HELLO" in one.call("heard"), "in the open, while nobody claimed the gateway"
        run(gateway.folder, "claim")
        assert stays_refused(one) and not one.call("state")["paired"]
        one.call("put", name="orders/1", fields={"dish": "soup"})
        paired(one, gateway)
        eventually(lambda: is_(one, "online"))
        one.call("saved")
        with Pairing(gateway.folder, "--role", "kiosk", "--grant", "orders rw") as pairing:
            assert two.call("pair", code=pairing.uri) is None
            ended = pairing.end()
            assert (ended["state"], ended["name"]) == ("paired", "Till 3")
        eventually(lambda: two.call("read", name="orders/1") == {"dish": "soup"})
        two.call("put", name="orders/1", fields={"table": 4})
        two.call("saved")
        eventually(lambda: one.call("read", name="orders/1") == {"dish": "soup", "table": 4})
        assert set(two.call("heard")) == {"NOISE", "sealed"}
        two.call("put", name="menu/1", fields={"soup": 4})
        assert eventually(lambda: two.call("refusals"))[0]["code"] == 4403

        gateway.stop()
        gateway.start()
        for device in (one, two):
            device.call("restart")
        eventually(lambda: is_(one, "online") and is_(two, "online"))
        for device in (one, two):
            assert device.call("state")["paired"]
            assert set(device.call("heard")) == {"NOISE", "sealed"}
        one.call("put", name="orders/2", fields={"dish": "bread"})
        eventually(lambda: two.call("read", name="orders/2") == {"dish": "bread"})
        assert gateway.log() == ""


def test_all_windows_of_a_device_are_paired_at_once(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "gateway") as gateway,
        NodeClient("members.mjs", mesh(gateway)) as device,
    ):
        run(gateway.folder, "claim")
        device.call("restart")
        device.call("window")
        eventually(lambda: device.call("windowState")["needsPairing"])
        paired(device, gateway)
        eventually(lambda: device.call("windowState")["link"] == "online")
        assert device.call("windowState")["paired"]


def test_a_wrong_code_is_told_and_the_right_one_still_good(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "gateway") as gateway,
        NodeClient("members.mjs", mesh(gateway)) as device,
    ):
        run(gateway.folder, "claim")
        device.call("restart")
        eventually(lambda: is_(device, "refused", needs_pairing=True))
        told = device.call("pair", code="too short")
        assert told.startswith("PairingCodeError: that is not a pairing code")
        told = device.call("pair", code="00000-00000-00000-00000")
        assert told.startswith("Unreached: ")
        with Pairing(gateway.folder) as pairing:
            assert device.call("pair", code="00000-00000-00000-00000").startswith("Unreached: ")
            assert is_(device, "refused", needs_pairing=True)
            assert device.call("pair", code=pairing.code) is None
        eventually(lambda: is_(device, "online"))
        gateway.stop()
        assert device.call("pair", code=pairing.code).startswith("Unreached: ")
        gateway.start()
        # What it was before it still is.
        eventually(lambda: is_(device, "online"))


def test_who_was_shut_out_is_refused_until_it_is_paired_anew(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "gateway") as gateway,
        NodeClient("members.mjs", mesh(gateway)) as device,
    ):
        run(gateway.folder, "claim")
        peer = paired(device, gateway)
        eventually(lambda: is_(device, "online"))
        command(gateway.folder, "revoke", peer)
        assert stays_refused(device)
        device.call("restart")
        assert stays_refused(device)
        device.call("put", name="orders/1", fields={"dish": "soup"})
        assert paired(device, gateway) == peer
        eventually(lambda: is_(device, "online"))
        device.call("saved")


def test_another_store_is_refused_until_this_device_is_paired_there(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "ours") as ours,
        GatewayProcess(tmp_path / "theirs") as theirs,
        NodeClient("members.mjs", mesh(ours)) as device,
    ):
        for gateway in (ours, theirs):
            run(gateway.folder, "claim")
        paired(device, ours)
        device.call("put", name="orders/1", fields={"dish": "soup"})
        device.call("saved")
        device.call("restart", at=mesh(theirs))
        assert stays_refused(device)
        assert run(theirs.folder, "get", "orders/1").returncode != 0
        paired(device, theirs)
        eventually(lambda: is_(device, "online"))


def test_who_was_refused_by_a_stranger_is_back_once_its_own_gateway_is(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "ours") as ours,
        NodeClient("members.mjs", mesh(ours), "hurried") as device,
    ):
        run(ours.folder, "claim")
        paired(device, ours)
        eventually(lambda: is_(device, "online"))
        port = ours.port
        ours.stop()
        with GatewayProcess(tmp_path / "stranger", port=port) as stranger:
            run(stranger.folder, "claim")
            eventually(lambda: is_(device, "refused", needs_pairing=True))
        ours.start()
        eventually(lambda: is_(device, "online"))


def test_a_twin_in_the_open_is_never_accepted(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "ours") as ours,
        NodeClient("members.mjs", mesh(ours)) as device,
    ):
        run(ours.folder, "claim")
        paired(device, ours)
        device.call("put", name="orders/1", fields={"dish": "soup"})
        device.call("saved")
        port = ours.port
        ours.stop()
        with GatewayProcess(tmp_path / "twin", port=port) as twin:
            device.call("restart")
            # It may be gone in a moment, and pairing is not what mends it.
            eventually(lambda: is_(device, "refused"))
            assert run(twin.folder, "get", "orders/1").returncode != 0
        ours.start()
        device.call("restart")
        eventually(lambda: is_(device, "online"))


def test_a_new_gateway_of_the_store_is_met_and_refilled_by_a_device(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "first") as first,
        NodeClient("members.mjs", mesh(first)) as device,
    ):
        code = command(first.folder, "claim")["recovery_code"]
        paired(device, first)
        eventually(lambda: is_(device, "online"))
        device.call("put", name="orders/1", fields={"dish": "soup"})
        device.call("saved")
        second = GatewayProcess(tmp_path / "second")
        with second:
            command(second.folder, "claim", "--recovery-code", text=code)
        first.stop()
        second.port = first.port
        with second:
            # Its key is another one than was met at this address.
            eventually(lambda: is_(device, "online"))
            device.call("put", name="orders/2", fields={"dish": "rice"})
            device.call("saved")
            for order, dish in (("orders/1", "soup"), ("orders/2", "rice")):
                eventually(partial(holds, second, order, dish))


def test_a_device_brings_a_gateway_what_it_missed(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "first") as first,
        NodeClient("members.mjs", mesh(first)) as phone,
        NodeClient("members.mjs", mesh(first)) as lost,
    ):
        code = command(first.folder, "claim")["recovery_code"]
        paired(phone, first)
        peer = paired(lost, first)
        with GatewayProcess(tmp_path / "second") as second:
            command(second.folder, "claim", "--recovery-code", text=code)
            eventually(lambda: is_(phone, "online"))
            command(first.folder, "revoke", peer)
            eventually(lambda: is_(lost, "refused", needs_pairing=True))
            first.stop()
            # Not in the memory of a running app, but as it was kept.
            phone.call("restart", at=mesh(second))
            eventually(lambda: is_(phone, "online"))
            revoked = second.folder / "identity" / "revocations.json"
            eventually(lambda: len(revoked.read_text()) > 2)
            lost.call("restart", at=mesh(second))
            assert stays_refused(lost)
