"""A store from the command line: claim, pair, join, revoke, with real processes."""

from pathlib import Path

import pytest

from tests.support.gateway import GatewayProcess, eventually
from tests.support.peer import PeerProcess
from tests.support.store import Pairing, command, run

pytestmark = pytest.mark.integration


def address(gateway: GatewayProcess) -> str:
    return f"127.0.0.1:{gateway.port}"


def paired(folder: Path, gateway: GatewayProcess, *arguments: str) -> PeerProcess:
    """A peer that was paired by a typed code; not running."""
    with (
        Pairing(gateway.folder, *arguments) as pairing,
        PeerProcess(folder, "--connect", address(gateway), "--pair", pairing.code) as peer,
    ):
        peer.wait(lambda event: event.get("state") == "open")
        assert pairing.end()["state"] == "paired"
    return PeerProcess(folder, "--connect", address(gateway), "--subscribe", "orders")


def refused(peer: PeerProcess) -> dict[str, object]:
    return peer.wait(lambda event: event.get("state") == "refused")


def test_claim_pair_by_code_and_by_uri_and_come_back_without(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "gateway") as gateway:
        claimed = run(gateway.folder, "claim", "--name", "Corner shop")
        assert "SGR1-" in claimed.stdout and "write it on paper" in claimed.stdout
        assert run(gateway.folder, "claim").returncode == 64
        assert not command(gateway.folder, "status")["open"]
        with paired(tmp_path / "one", gateway) as one:
            one.ask("put", "orders/1", {"n": 1})
            one.wait(lambda event: event.get("event") == "delivered")
            with Pairing(gateway.folder, "--role", "kiosk", "--grant", "orders rw") as pairing:
                given = ("--subscribe", "orders", "--pair", pairing.uri)
                two = PeerProcess(tmp_path / "two", "--name", "Till", *given)
                with two:
                    two.until(lambda documents: "orders/1" in documents)
                    ended = pairing.end()
                    assert (ended["state"], ended["name"]) == ("paired", "Till")
            listed = {d["peer"]: d for d in command(gateway.folder, "devices")["devices"]}
            assert listed[ended["peer"]]["role"] == "kiosk"
            assert listed[ended["peer"]]["grants"] == [["orders", 3]]
            assert [d["linked"] for d in listed.values()].count(True) >= 1
        gateway.stop()
        gateway.start()
        two = PeerProcess(tmp_path / "two", "--connect", address(gateway))
        with two, one:
            two.ask("put", "orders/2", {"n": 2})
            one.until(lambda documents: "orders/2" in documents)
            two.ask("put", "menu/1", {"n": 2})
            declined = two.wait(lambda event: event.get("event") == "refused")
            assert (declined["document"], declined["code"]) == ("menu/1", "forbidden")


def test_who_is_not_of_the_store_is_told_why(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "ours") as ours,
        GatewayProcess(tmp_path / "theirs") as theirs,
    ):
        for gateway in (ours, theirs):
            assert run(gateway.folder, "claim").returncode == 0
        with PeerProcess(tmp_path / "stranger", "--connect", address(ours)) as stranger:
            assert refused(stranger)["code"] == "unauthorised"
        paired(tmp_path / "tablet", ours)
        with PeerProcess(tmp_path / "tablet", "--connect", address(theirs)) as tablet:
            assert refused(tablet)["code"] == "other-store"


def test_five_wrong_codes_close_the_window(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "gateway") as gateway:
        run(gateway.folder, "claim")
        with Pairing(gateway.folder) as pairing:
            wrong = "00000-00000-00000-00000"
            with PeerProcess(
                tmp_path / "guesser", "--connect", address(gateway), "--pair", wrong
            ) as guesser:
                assert refused(guesser)["code"] == "unauthorised"
                assert pairing.end()["state"] == "too-many-tries"
            late = PeerProcess(
                tmp_path / "late", "--connect", address(gateway), "--pair", pairing.code
            )
            with late:
                assert refused(late)["code"] == "unauthorised"
        assert command(gateway.folder, "devices")["devices"] == []


def test_a_second_gateway_joins_and_both_sync_sealed(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "first") as first:
        code = command(first.folder, "claim")["recovery_code"]
        command(first.folder, "put", "orders/1", '{"n": 1}')
        with GatewayProcess(tmp_path / "second", "--connect", address(first)) as second:
            joined = command(second.folder, "claim", "--recovery-code", text=f"{code}\n")
            assert joined["ok"] and "recovery_code" not in joined
            eventually(lambda: second_has(second, "orders/1"))
            command(second.folder, "put", "orders/2", '{"n": 2}')
            eventually(lambda: second_has(first, "orders/2"))
            (other,) = command(second.folder, "devices")["devices"]
            assert other["gateway"] and other["linked"]


def second_has(gateway: GatewayProcess, document: str) -> object:
    return command(gateway.folder, "get", document).get("fields")


def test_a_revoked_device_is_out_at_once_and_a_phone_tells_the_other_gateway(
    tmp_path: Path,
) -> None:
    with GatewayProcess(tmp_path / "first") as first:
        code = command(first.folder, "claim")["recovery_code"]
        lost = paired(tmp_path / "lost", first)
        phone = paired(tmp_path / "phone", first)
        with GatewayProcess(tmp_path / "second") as second:
            command(second.folder, "claim", "--recovery-code", text=code)
        with lost, phone:
            peer = lost.wait(lambda event: event.get("event") == "ready")["peer"]
            lost.wait(lambda event: event.get("state") == "open")
            phone.wait(lambda event: event.get("state") == "open")
            assert command(first.folder, "revoke", peer[:8])["peer"] == peer
            ended = lost.wait(lambda event: event.get("state") == "closed")
            assert ended["code"] == "revoked"
            assert refused(lost)["code"] == "revoked"
        first.stop()
        with second:
            with PeerProcess(tmp_path / "phone", "--connect", address(second)) as phone:
                phone.wait(lambda event: event.get("state") == "open")
                eventually(lambda: heard(second))
            with PeerProcess(tmp_path / "lost", "--connect", address(second)) as lost:
                assert refused(lost)["code"] == "revoked"


def heard(gateway: GatewayProcess) -> bool:
    return len((gateway.folder / "identity" / "revocations.json").read_text()) > 2
