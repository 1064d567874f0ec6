"""A store from the command line: claim, pair, join, revoke, with real processes."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.control.client import ControlClient
from gateway.core import y_messages as y
from gateway.core.recovery import root_key
from tests.support.gateway import ROOT, GatewayProcess, eventually
from tests.support.peer import PeerProcess
from tests.support.raw import RawClient
from tests.support.store import Pairing, command, run

# Within this a device that was shut out has no link any more.
REVOKED_SECONDS = 1.0

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


def test_commands_are_named_as_they_were_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_GATEWAY_COMMAND", "./dev")
    with GatewayProcess(tmp_path / "gateway") as gateway:
        assert "Let the first device in: ./dev pair" in run(gateway.folder, "claim").stdout
        assert run(gateway.folder, "devices").stdout.endswith(": ./dev pair\n")


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
            eventually(lambda: has(second, "orders/1"))
            command(second.folder, "put", "orders/2", '{"n": 2}')
            eventually(lambda: has(first, "orders/2"))
            (other,) = command(second.folder, "devices")["devices"]
            assert other["gateway"] and other["linked"]


def has(gateway: GatewayProcess, document: str) -> bool:
    return run(gateway.folder, "get", document).returncode == 0


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
            began = time.monotonic()
            ended = lost.wait(lambda event: event.get("state") == "closed")
            assert ended["code"] == "revoked" and time.monotonic() - began < REVOKED_SECONDS
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


def test_a_token_reads_and_does_not_write(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "gateway") as gateway:
        command(gateway.folder, "claim")
        command(gateway.folder, "put", "menu/1", '{"soup": 4}')
        made = command(gateway.folder, "token", "--role", "board", "--grant", "menu r")
        token = f"?token={made['token']}"
        for path, code in (
            ("/sync/menu/1", 4401),
            ("/sync/menu/1?token=a.b.c", 4400),
            (f"/sync/orders/1{token}", 4403),
        ):
            assert closed(gateway, path) == code
        with RawClient(gateway.port, f"/sync/menu/1{token}") as reader:
            reader.send(y.step_1(b"\x00"))
            while not isinstance(answer := y.decode(reader.recv()), y.Change):
                pass
            assert b"soup" in answer.update
            # What a client that changed nothing says at the beginning; then a sign of life.
            reader.send(y.step_2(b"\x00\x00"))
            reader.send(y.presence(y.awareness_payload([(1, 1, "{}")])))
            assert isinstance(y.decode(reader.recv()), y.Presence)
            for said in (y.update(answer.update), y.step_2(answer.update)):
                assert closed(gateway, f"/sync/menu/1{token}", said) == 4403
            command(gateway.folder, "revoke", made["peer"])
            assert reader.until_closed().code == 4410
        assert closed(gateway, f"/sync/menu/1{token}") == 4410


def test_no_secret_is_in_logs_status_or_backup(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "gateway", "--verbose") as gateway:
        code = command(gateway.folder, "claim")["recovery_code"]
        with Pairing(gateway.folder) as pairing:
            secrets = [pairing.code, pairing.uri.split("s=")[1].split("&")[0]]
            till = PeerProcess(
                tmp_path / "till",
                "--verbose",
                "--connect",
                address(gateway),
                "--pair",
                pairing.code,
            )
            with till:
                till.wait(lambda event: event.get("state") == "open")
        token = command(gateway.folder, "token")["token"]
        closed(gateway, f"/sync/menu/1?token={token}x")
        command(gateway.folder, "backup", str(tmp_path / "backup.db"))
        told = json.dumps([command(gateway.folder, verb) for verb in ("status", "devices")])
        kept = [json.loads((folder / "identity" / "keys.json").read_text())
                for folder in (gateway.folder, till.folder)]  # fmt: skip
    secrets += [
        code,
        code.replace("-", ""),
        token,
        *(key for keys in kept for key in keys.values()),
    ]
    root = root_key(code)
    outside = told.encode() + (tmp_path / "backup.db").read_bytes()
    outside += gateway.log().encode() + (tmp_path / "till.log").read_bytes()
    identity = b"".join(path.read_bytes() for path in (gateway.folder / "identity").iterdir())
    for secret in secrets:
        for form in forms(secret):
            assert form not in outside
    for form in forms(root.hex()):
        assert form not in outside + identity
    for path in gateway.folder.rglob("*"):
        if path.is_file() and path.parent.name != "identity":
            assert not any(bytes.fromhex(key) in path.read_bytes() for key in kept[0].values())


def forms(secret: str) -> list[bytes]:
    """A secret as it may be written."""
    try:
        return [secret.encode(), secret.upper().encode(), bytes.fromhex(secret)]
    except ValueError:
        return [secret.encode()]


def test_ctrl_c_closes_the_window(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "gateway") as gateway:
        command(gateway.folder, "claim")
        shown = subprocess.Popen(
            [sys.executable, "-m", "gateway", "pair", "--data", str(gateway.folder)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert shown.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            said += shown.stdout.readline()
        assert "█" in said and f"--connect {address(gateway)}" in said
        shown.send_signal(signal.SIGINT)
        _, errors = shown.communicate(timeout=10)
        assert shown.returncode == 130 and "nobody was paired" in errors
        assert run(gateway.folder, "pair", "--grant", "orders x").returncode == 64
        window = command_line("pairing", gateway)
        assert window["state"] == "closed"


def command_line(verb: str, gateway: GatewayProcess) -> dict[str, object]:
    return ControlClient(gateway.folder / "control.sock").request(verb, window=1)


def closed(gateway: GatewayProcess, path: str, *said: bytes) -> int:
    """The code with which the gateway closes a link on which this was said."""
    with RawClient(gateway.port, path) as client:
        for message in said:
            client.send(message)
        return client.until_closed().code
