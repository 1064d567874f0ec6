"""Settings: defaults that work, and errors that name file, key and what is right."""

import json
from pathlib import Path

import pytest

from gateway.__main__ import _announce, main
from gateway.config import Budget, Config, load, override, peer_url
from gateway.core.announcement import Address
from gateway.core.errors import GatewayError


def test_nothing_needs_to_be_configured() -> None:
    config = load(None)
    assert config == Config()
    assert config.listen.host == "127.0.0.1" and config.access.open


def test_priorities_and_budgets(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(
        "[priorities]\norders = 10\nlogs = -1\n[bytes_per_second]\nkiosk = 50000\n"
        "[budget]\ndocuments = 500\n"
    )
    config = load(path)
    assert config.priorities == {"orders": 10, "logs": -1}
    assert config.bytes_per_second == {"kiosk": 50_000}
    assert config.budget == Budget(documents=500)


def test_the_port_of_a_broker_is_the_usual_one(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('[mqtt]\nenabled = true\nhost = "b"\nroot = "shops/north"\njson = ["menu"]\n')
    mqtt = load(path).mqtt
    assert (mqtt.port_used, mqtt.json, mqtt.commands) == (8_883, ("menu",), ())
    path.write_text("[mqtt]\ntls = false\n")
    assert load(path).mqtt.port_used == 1_883
    path.write_text("[mqtt]\nhost = '2001:db8::1'\nport = 5\n")
    assert load(path).mqtt.port_used == 5


def test_a_broker_may_have_several_nodes(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("[mqtt]\nhost = ['a.example', 'b.example:5', '[2001:db8::1]:6']\nport = 7\n")
    assert load(path).mqtt.nodes == (("a.example", 7), ("b.example", 5), ("2001:db8::1", 6))
    path.write_text("[mqtt]\nhost = '2001:db8::1'\n")
    assert load(path).mqtt.nodes == (("2001:db8::1", 8_883),)


def test_a_file_replaces_only_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('name = "Kitchen"\n[listen]\nport = 9000\nhosts = ["shop.example"]\n')
    config = load(path)
    assert (config.name, config.listen.port) == ("Kitchen", 9000)
    assert config.listen.hosts == ("shop.example",)
    assert config.store == Config().store


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 3", ["name is '3'", "a name for people"]),
        (f"name = '{'é' * 129}'", ["name is", "at most 256 bytes"]),
        ("name = ''", ["a name for people"]),
        ("[listen]\nport = 'x'", ["listen.port is 'x'", "a whole number from 0 to 65535"]),
        ("[listen]\nport = 99999", ["listen.port", "65535"]),
        ("[listen]\nport = true", ["listen.port"]),
        ("[listen]\nprot = 1", ["listen.prot is not a setting", "did you mean port?"]),
        ("[radio]\non = true", ["radio is not a setting", "known are"]),
        ("listen = 5", ["listen is '5'", "a section: [listen]"]),
        ("[access]\nopen = 'yes'", ["access.open", "true or false"]),
        ("[listen]\nhosts = 'x'", ["listen.hosts", "a list of host names"]),
        ("[store]\nfolder = ''", ["store.folder", "a folder"]),
        ("name = ", ["not TOML"]),
        ("[listen]\nport = 8788", ["listen.port and pages.port are both 8788"]),
        ("[mesh]\nconnect = 'x'", ["mesh.connect", "a list of texts"]),
        ("[mesh]\ndiscover = 'yes'", ["mesh.discover", "true or false"]),
        ("[priorities]\norders = 'first'", ["priorities is", "orders = 10"]),
        ("[priorities]\norders = 101", ["priorities is", "from -100 to 100"]),
        ("[priorities]\n'a/b' = 1", ["priorities is", "collections"]),
        ("priorities = 1", ["priorities is '1'", "a section"]),
        ("[bytes_per_second]\nkiosk = 999", ["bytes_per_second is", "kiosk = 50000"]),
        ('[bluetooth]\nadapter = "hci"', ["bluetooth.adapter is 'hci'", "hci0"]),
        ("[bluetooth]\nphones = 9", ["bluetooth.phones is '9'", "from 1 to 8"]),
        ("[mqtt]\nenabled = true", ["mqtt.enabled is true", "mqtt.host is missing"]),
        ("[mqtt]\nhost = ''", ["mqtt.host is ''", "the name or address of a broker"]),
        ("[mqtt]\nhost = 'mqtts://b.example'", ["mqtt.host is", "broker.example"]),
        ("[mqtt]\nhost = 'b.example:8883'", ["mqtt.host is", "without its port"]),
        ("[mqtt]\nhost = []", ["mqtt.host is", "the name or address of a broker"]),
        ("[mqtt]\nhost = ['b', 3]", ["mqtt.host is", "a list of those of one cluster"]),
        ("[mqtt]\nhost = ['b:70000']", ["mqtt.host is", "a list of those of one cluster"]),
        (f"[mqtt]\nhost = {['b'] * 17}", ["mqtt.host is", "a list of those of one cluster"]),
        ('[mqtt]\nhost = "b\\u0000"', ["mqtt.host is", "the name or address of a broker"]),
        ('[mqtt]\nuser = "a\\n"', ["mqtt.user is", "without control characters"]),
        ('[mqtt]\nkey = "x"', ["mqtt.key is set", "mqtt.certificate"]),
        ('[mqtt]\ntls = false\nca = "x"', ["mqtt.tls is false", "leave them out"]),
        ('[mqtt]\nroot = "a//b"', ["mqtt.root is 'a//b'", "levels of a topic"]),
        (f'[mqtt]\nroot = "{"é" * 91}"', ["mqtt.root is", "at most 180 bytes"]),
        ('[mqtt]\nroot = "a/+"', ["mqtt.root is 'a/+'", "without + # and $"]),
        ('[mqtt]\njson = "orders"', ["mqtt.json is 'orders'", "a list of collections"]),
        ('[mqtt]\ncommands = ["a/b"]', ["mqtt.commands", "a list of collections"]),
        ('[mqtt]\nhub = "abc"', ["mqtt.hub is 'abc'", "64 hex digits"]),
        ('[mqtt]\nup = ["*", "orders"]', ["mqtt.up", '["*"] for all']),
        ('[mqtt]\ndown = ["*"]', ["mqtt.down", "each by its name"]),
        ('[mqtt]\ndown = ["menu"]', ["mqtt.down is set", "mqtt.hub is missing"]),
        (
            f'[mqtt]\nhub = "{"0" * 64}"\ndown = {[f"c{n}" for n in range(257)]}',
            ["mqtt.down", "more than 256"],
        ),
        ("[mqtt]\noutbox_bytes = 5", ["mqtt.outbox_bytes is '5'", "a whole number from 1048576"]),
        ("[mqtt]\njson = [5]", ["mqtt.json", "a list of collections"]),
        (
            "[mqtt]\npassword = 'x'",
            ["mqtt.password is not a setting", "did you mean password_file?"],
        ),
        ("[mqtt]\nport = 70000", ["mqtt.port is '70000'", "from 0 to 65535"]),
        ("[budget]\nbytes_per_second = 5", ["budget.bytes_per_second is '5'", "from 1000"]),
        ("[mesh]\ndiscovery = true", ["mesh.discovery", "did you mean discover?"]),
    ],
)
def test_errors_name_file_key_and_what_is_right(
    text: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    assert main(["check-config", "--config", str(path)]) == 78
    said = capsys.readouterr().err
    assert str(path) in said and all(word in said for word in words), said
    assert "Traceback" not in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mesh]\nconnect = ['http://x']", "is not the address of a peer"),
        ("[mesh]\nconnect = ['ws://a:99999']", "is not the address of a peer"),
        ("[mesh]\nsubscribe = ['orders {']", "cannot subscribe to"),
    ],
)
def test_peers_and_subscriptions_are_checked(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    assert main(["check-config", "--config", str(path)]) == 78
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("192.168.1.20", "ws://192.168.1.20:8787/mesh"),
        ("gateway.local:9000", "ws://gateway.local:9000/mesh"),
        ("fd00::20", "ws://[fd00::20]:8787/mesh"),
        ("ws://[::1]:9000/", "ws://[::1]:9000/mesh"),
        ("wss://shop.example/store/mesh", "wss://shop.example:443/store/mesh"),
    ],
)
def test_addresses_of_peers(text: str, url: str) -> None:
    assert peer_url(text) == url


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "this machine only"),
        ({"listen": {"host": "0.0.0.0"}}, ""),
        ({"listen": {"host": "0.0.0.0"}, "mesh": {"connect": ["x"]}}, ""),
        ({"listen": {"host": "0.0.0.0"}, "mesh": {"discover": False}}, "mesh.discover is off"),
        ({"listen": {"enabled": False}}, ""),
        ({"listen": {"enabled": False}, "mesh": {"connect": ["x"]}}, "--connect"),
        ({"listen": {"enabled": False}, "mesh": {"discover": False}}, "mesh.discover is off"),
    ],
)
def test_who_looks_for_others_in_the_network(changes: dict[str, object], why: str) -> None:
    found = override(Config(), changes, "a test").why_not_discover
    assert why in found and bool(found) == bool(why)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(GatewayError) as caught:
        load(tmp_path / "none.toml")
    assert "No such file" in caught.value.sentence


def test_a_good_file_is_said_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("[pages]\nenabled = false\n")
    assert main(["check-config", "--config", str(path), "--json"]) == 0
    assert capsys.readouterr().out == '{"ok": true}\n'


def test_usage_errors_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["bake"])
    assert caught.value.code == 64
    assert "see store-gateway --help" in capsys.readouterr().err


def test_usage_errors_are_json_for_scripts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["store-gateway", "status", "--json", "--bake"])
    with pytest.raises(SystemExit):
        main()
    assert json.loads(capsys.readouterr().out)["code"] == "usage"


def test_commands_without_a_gateway_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--data", str(tmp_path), "--json"]) == 69
    said = capsys.readouterr()
    assert "not-running" in said.out and "no gateway is running" in said.err


def test_all_addresses_are_shown_as_one_that_others_can_open(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Address("192.168.1.20", 24, 2, usable=True), Address("fd00::20", 64, 2, usable=True)]
    monkeypatch.setattr("gateway.adapters.rtnetlink.own_addresses", lambda: found)
    facts = {
        "pages": "http://0.0.0.0:8788/", "mesh": "ws://[::]:8787/mesh",
        "sync": "ws://127.0.0.1:8787/sync/", "data": "data", "open": True, "claimed": False,
        "bluetooth": False,
    }  # fmt: skip
    _announce(facts)
    shown = capsys.readouterr().out
    for url in ("http://192.168.1.20:8788/ ", "ws://[fd00::20]:8787/mesh", "ws://127.0.0.1:8787/"):
        assert url in shown
    found.clear()
    _announce(facts)
    assert "http://0.0.0.0:8788/" in capsys.readouterr().out


@pytest.mark.parametrize("claimed", [False, True])
def test_who_asked_for_bluetooth_is_told_where_to_look(
    capsys: pytest.CaptureFixture[str], *, claimed: bool
) -> None:
    facts = {"mesh": "", "sync": "", "data": "", "open": not claimed, "claimed": claimed}
    _announce({**facts, "bluetooth": False})
    assert "Bluetooth" not in capsys.readouterr().out
    _announce({**facts, "bluetooth": True})
    line = next(line for line in capsys.readouterr().out.splitlines() if "Bluetooth" in line)
    assert "status" in line
    assert ("claim" in line) is not claimed
