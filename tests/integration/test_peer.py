"""Small peers as processes: with a gateway, without one, across restarts and kill -9."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import ROOT, GatewayProcess, eventually
from tests.support.peer import PeerProcess

pytestmark = pytest.mark.integration

GRILL = 'orders {"station": "grill"}'


def command(*arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=ROOT, input=text, capture_output=True, text=True, timeout=30,
    )  # fmt: skip


def test_a_kiosk_and_a_kitchen_with_a_gateway_between_them(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "gateway") as gateway:
        address = f"127.0.0.1:{gateway.port}"
        with (
            PeerProcess(tmp_path / "kiosk", "--connect", address, "--subscribe", "orders") as kiosk,
            PeerProcess(tmp_path / "grill", "--connect", address, "--subscribe", GRILL) as grill,
        ):
            kiosk.ask("put", "orders/1", {"station": "grill", "status": "open"})
            kiosk.ask("put", "orders/2", {"station": "bar"})
            gateway_peer = kiosk.wait(lambda event: event.get("state") == "open")["peer"]
            delivered = {"event": "delivered", "document": "orders/2", "peer": gateway_peer}
            kiosk.wait(lambda event: event == delivered)
            grill.until(lambda documents: "orders/1" in documents)
            grill.ask("patch", "orders/1", {"status": "done"})
            kiosk.until(lambda documents: documents["orders/1"]["fields"].get("status") == "done")
            kiosk.ask("patch", "orders/1", {"station": "bar"})
            left = grill.wait(lambda event: event.get("event") == "left")
            assert left["content"]["fields"]["station"] == "bar"
            assert grill.documents == {}

            gateway.kill()
            grill.wait(lambda event: event.get("state") == "closed")
            kiosk.ask("put", "orders/3", {"station": "grill", "text": "während sie fort war 🍔"})
            assert kiosk.stop() == 0
            gateway.start()
            kiosk.start()
            grill.until(lambda documents: set(documents) == {"orders/3"})
            assert grill.stop() == 0
    assert "orders/2" not in {event.get("document") for event in grill.events}


def test_two_small_peers_without_a_gateway_across_a_kill(tmp_path: Path) -> None:
    with PeerProcess(tmp_path / "one", "--listen", "0", "--subscribe", "orders") as one:
        address = one.events[0]["mesh"]
        port = address.rpartition(":")[2].partition("/")[0]
        with PeerProcess(tmp_path / "two", "--connect", address, "--subscribe", GRILL) as two:
            one.ask("put", "orders/1", {"station": "grill"})
            two.until(lambda documents: "orders/1" in documents)
            two.kill()
            one.ask("patch", "orders/1", {"status": "open"})
            two.start()
            two.until(lambda documents: "status" in documents["orders/1"]["fields"])
            one.kill()
            two.ask("put", "orders/2", {"station": "grill"})
            one._arguments = ("--listen", port, "--subscribe", "orders")
            one.start()
            one.until(lambda documents: set(documents) == {"orders/1", "orders/2"})


def test_a_peer_that_hangs_up_at_once_is_called_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as rude:
        address = f"127.0.0.1:{rude.getsockname()[1]}"
        with PeerProcess(tmp_path / "kiosk", "--connect", address) as kiosk:
            for answer in (b"", b"SSH-2.0-none\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n"):
                called, _ = rude.accept()
                if answer:
                    called.recv(4_096)
                    called.sendall(answer)
                else:
                    called.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1]) + bytes(7))
                called.close()
            kiosk.wait(lambda event: event.get("state") == "unreachable")
            kiosk.ask("put", "orders/1", {"n": 1})


def test_a_peer_that_is_turned_away_says_why_and_says_it_once(tmp_path: Path) -> None:
    settings = tmp_path / "gateway.toml"
    settings.write_text("[access]\nopen = false\n")

    def refused(event: dict) -> bool:
        return bool(event.get("state") == "refused")

    with GatewayProcess(tmp_path / "gateway", "--config", str(settings)) as gateway:
        port = gateway.port
        with PeerProcess(tmp_path / "kiosk", "--connect", f"127.0.0.1:{port}") as kiosk:
            link = kiosk.wait(refused)
            assert link == {
                "event": "link", "state": "refused", "code": "unauthorised", "by": "peer",
                "address": f"ws://127.0.0.1:{port}/mesh",
                "reason": "this gateway does not know you; pair first",
            }  # fmt: skip
            # By now it has called more than once.
            gateway.kill()
            kiosk.wait(lambda event: event.get("state") == "unreachable")
            assert sum(map(refused, kiosk.events)) == 1
            gateway.start()
            eventually(lambda: sum(map(refused, kiosk.events)) == 2)
    with PeerProcess(
        tmp_path / "self", "--listen", str(port), "--connect", f"127.0.0.1:{port}"
    ) as one:
        assert "called by itself" in one.wait(refused)["reason"]
    address = f"ws://127.0.0.1:{port}/sync/orders/1"
    with (
        GatewayProcess(tmp_path / "other", port=port),
        PeerProcess(tmp_path / "lost", "--connect", address) as lost,
    ):
        assert lost.wait(refused)["code"] == "malformed"


def test_what_the_gateway_does_not_take_is_said(tmp_path: Path) -> None:
    settings = tmp_path / "gateway.toml"
    settings.write_text("[store]\nmax_collection_bytes = 65536\n")
    with (
        GatewayProcess(tmp_path / "gateway", "--config", str(settings)) as gateway,
        PeerProcess(tmp_path / "kiosk", "--connect", f"127.0.0.1:{gateway.port}") as kiosk,
    ):
        kiosk.ask("put", "orders/1", {"text": "x" * 70_000})
        refused = kiosk.wait(lambda event: event.get("event") == "refused")
        assert (refused["document"], refused["code"]) == ("orders/1", "quota")
        kiosk.ask("put", "menu/1", {"text": "soup"})
        kiosk.wait(lambda event: event.get("event") == "delivered")
        assert kiosk.ask("get", "orders/1")["content"]["fields"]["text"] == "x" * 70_000


def test_documents_from_the_command_line(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "gateway") as gateway:
        data = ("--data", str(gateway.folder))
        assert command("put", "orders/1", '{"a": 1, "b": {"c": null}}', *data).returncode == 0
        patch = command("patch", "orders/1", "-", "--json", *data, text='{"a": null, "d": [1]}')
        assert json.loads(patch.stdout) == {"ok": True, "document": "orders/1"}
        got = command("get", "orders/1", "--json", *data)
        assert json.loads(got.stdout) == {"b": {"c": None}, "d": [1]}
        assert command("put", "orders", "{}", *data).returncode == 64
        wrong = command("put", "orders/1", "[1]", *data)
        assert wrong.returncode == 64 and "JSON object" in wrong.stderr
        assert command("put", "orders/1", "{", *data).returncode == 64
    gone = command("get", "orders/1", *data)
    assert gone.returncode == 69 and "no gateway is running" in gone.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--no-discovery"], "there is nobody to sync with"),
        (["--connect", "http://x"], "is not the address of a peer"),
        (["--connect", "x", "--subscribe", "orders {"], "cannot subscribe to"),
        (["--connect", "x", "--subscribe", "a/b"], "first comes a collection"),
        (["--listen", "somewhere"], "--listen takes a port"),
    ],
)
def test_what_cannot_be_started_says_why(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = command("peer", "--data", str(tmp_path / "data"), *arguments)
    assert ended.returncode == 64 and said in ended.stderr and ended.stdout == ""


def test_bad_requests_are_answered_and_the_peer_goes_on(tmp_path: Path) -> None:
    lines = [
        "nonsense",
        '{"verb": "dance", "id": 1}',
        '{"verb": "put", "document": 7, "id": 2}',
        '{"verb": "put", "document": "orders/1", "content": [], "id": 3}',
        '{"verb": "put", "document": "orders/../1", "content": {}, "id": 4}',
        "x" * 300_000,
        '{"verb": "put", "document": "orders/1"}',
        '{"verb": "put", "document": "orders/1", "content": {}, "rooot": "x"}',
        '{"verb": "get", "document": "orders/none"}',
        '{"verb": "put", "document": "orders/1", "content": {"n": 12345678901234567890123}}',
        '{"verb": "put", "document": "orders/1", "content": {"s": "\\ud800"}}',
        '{"verb": "put", "document": "orders/1", "content": {"n": 1}, "id": 5}',
        '{"verb": "get", "document": "orders/1", "id": 6}',
    ]
    with PeerProcess(tmp_path / "peer", "--listen", "0") as peer:
        assert peer._process is not None and peer._process.stdin is not None
        peer._process.stdin.write("\n".join(lines) + "\n")
        peer._process.stdin.flush()
        got = peer.wait(lambda event: event.get("id") == 6)
        assert got["result"]["content"] == {"fields": {"n": 1}}
        codes = [event.get("code") for event in peer.events if "ok" in event]
        assert codes == [
            "bad-request", "unknown-verb", "usage", "usage", "bad-name", "bad-request",
            "usage", "usage", "no-document", "usage", "usage", None, None,
        ]  # fmt: skip
        peer._process.stdin.close()
        assert peer.stop() == 0


def test_it_ends_when_nobody_reads_it_any_more(tmp_path: Path) -> None:
    folder = tmp_path / "peer"
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "peer", "--listen", "0", "--data", str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdin.write(b'{"verb": "put", "document": "orders/1", "content": {"n": 1}}\n')
    process.stdin.flush()
    assert process.wait(timeout=10) == 0
    process.stdin.close()


def test_once_ends_when_a_peer_has_everything(tmp_path: Path) -> None:
    lines = [
        json.dumps({"verb": "put", "document": f"orders/{n % 7}", "content": {"n": n}, "id": n})
        for n in range(20)
    ]
    with GatewayProcess(tmp_path / "gateway") as gateway:
        once = ("peer", "--once", "--connect", f"127.0.0.1:{gateway.port}", "--data")
        ended = command(*once, str(tmp_path / "one"), text="\n".join(lines))
        assert (ended.returncode, ended.stderr) == (0, "")
        said = [json.loads(line) for line in ended.stdout.splitlines()]
        assert said[-1] == {"event": "done"} and sum("ok" in line for line in said) == 20
        # Not what it said counts, but what is there.
        data = ("--data", str(gateway.folder), "--json")
        got = [json.loads(command("get", f"orders/{n}", *data).stdout) for n in range(7)]
        assert got == [*({"n": n} for n in range(14, 20)), {"n": 13}]
        assert command(*once, str(tmp_path / "two"), text="").returncode == 0
        wrong = command(*once, str(tmp_path / "two"), text='{"verb": "put"}')
        assert wrong.returncode == 65 and "not taken" in wrong.stderr


def test_once_gives_up_and_delivers_when_it_is_run_again(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "gateway") as gateway:
        port = gateway.port
    line = '{"verb": "put", "document": "orders/1", "content": {"n": 1}}'
    once = ("peer", "--once", "--connect", f"127.0.0.1:{port}", "--data", str(tmp_path / "one"))
    late = command(*once, "--timeout", "1", text=line)
    assert late.returncode == 75 and "1 document is on no other device after 1 s" in late.stderr
    assert late.stdout.count('"unreachable"') == 1
    assert late.stderr.count("\n") == 1 and "Traceback" not in late.stderr
    with GatewayProcess(tmp_path / "gateway", port=port) as gateway:
        assert command(*once, text=line).returncode == 0
        got = command("get", "orders/1", "--data", str(gateway.folder), "--json")
        assert json.loads(got.stdout) == {"n": 1}
        # And once more, when there is nothing new for anybody.
        assert command(*once, text=line).returncode == 0


def test_once_says_when_the_gateway_does_not_take_it(tmp_path: Path) -> None:
    settings = tmp_path / "gateway.toml"
    settings.write_text("[store]\nmax_collection_bytes = 65536\n")
    with GatewayProcess(tmp_path / "gateway", "--config", str(settings)) as gateway:
        line = json.dumps({"verb": "put", "document": "a/1", "content": {"t": "x" * 70_000}})
        arguments = ("--connect", f"127.0.0.1:{gateway.port}", "--data", str(tmp_path / "one"))
        ended = command("peer", "--once", *arguments, text=line)
        assert ended.returncode == 65 and '"refused"' in ended.stdout


def test_a_reader_that_goes_ends_it_although_there_is_nothing_to_say(tmp_path: Path) -> None:
    folder = tmp_path / "peer"
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "peer", "--listen", "0", "--data", str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=10) == 0
    process.stdin.close()
