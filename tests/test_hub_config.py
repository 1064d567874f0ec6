"""The settings of a hub, and what its commands make of their arguments."""

import json
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.core.cloud_shares import Share
from gateway.core.errors import GatewayError
from gateway.core.hub_tokens import read_tokens, token_of
from gateway.hub_commands import _address, _line, _listening
from gateway.hub_config import HubConfig, load_hub

STORE = "a" * 32
ALL = f"""
folder = "/data"
root = "shops"
key_file = "/keys/hub"
stores = ["{STORE}"]

[broker]
host = "broker.example"
ca = "ca.crt"
user = "hub"
password_file = "secret"

[intake.amqp]
hosts = ["rabbit1.example", "[::1]:5"]
user = "hub"

[database]
url = "postgresql://hub@db.example/hub"

[[share]]
name = "menu"
collections = ["menu", "prices"]
writers = ["{STORE}"]

[[share]]
name = "staff"
collections = ["staff"]
writers = ["*"]
stores = ["{STORE}"]
"""


def test_without_a_file_all_is_on_this_machine() -> None:
    config = load_hub(None)
    assert config == HubConfig()
    assert (config.broker.host, config.broker.port_used) == ("localhost", 1_883)
    assert not config.broker.tls_used and not config.database.url
    assert config.key_path == Path(config.folder) / "hub.key"


def test_all_settings(tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    path.write_text(ALL)
    config = load_hub(path)
    # Elsewhere there is TLS, unless somebody says otherwise.
    assert config.broker.tls_used and config.broker.port_used == 8_883
    assert (config.stores, config.key_path) == ((STORE,), Path("/keys/hub"))
    assert config.intake.amqp.nodes == (("rabbit1.example", 5_671), ("::1", 5))
    assert config.shares == (
        Share("menu", ("menu", "prices"), ("*",), (STORE,)),
        Share("staff", ("staff",), (STORE,), ("*",)),
    )
    path.write_text("[broker]\nhost = 'broker.example'\ntls = false\nport = 7")
    config = load_hub(path)
    assert not config.broker.tls_used and config.broker.port_used == 7


def test_a_broker_of_several_nodes_has_tls_if_one_is_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    path.write_text("[broker]\nhost = ['localhost', '127.0.0.1:5']")
    assert load_hub(path).broker.nodes == (("localhost", 1_883), ("127.0.0.1", 5))
    path.write_text("[broker]\nhost = ['localhost', 'b.example:5']")
    assert load_hub(path).broker.nodes == (("localhost", 8_883), ("b.example", 5))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[broker]\nhots = 'x'", "broker.hots is not a setting; did you mean host?"),
        ("[broker]\nhost = 'b:1883'", "broker.host is 'b:1883'"),
        ("[broker]\nhost = ['b:x']", "broker.host is"),
        ("[api]\nhost = ['b']", "api.host is"),
        ("[intake.amqp]\nhosts = ['a:b']", "intake.amqp.hosts is"),
        ("[intake.amqp]\nhosts = ['a:70000']", "intake.amqp.hosts is"),
        ("[intake.amqp]\nhosts = [3]", "intake.amqp.hosts is"),
        ("[intake]\namqp = 3", "[intake.amqp]"),
        ("root = 'shops.north'\n[intake.amqp]\nhosts = ['a']", "may not hold . and *"),
        ("root = 'shops/*'\n[intake.amqp]\nhosts = ['a']", "may not hold . and *"),
        ("stores = ['x']", "stores is"),
        ("stores = ['*']", "stores is"),
        ("[database]\nurl = 'mysql://x'", "postgresql://"),
        ("share = 3", "[[share]]"),
        ("share = [3]", "[[share]]"),
        ("[share]\nname = 'menu'", "[[share]]"),
        ("[[share]]\nnane = 'menu'", "share.nane is not a setting"),
        ("[[share]]\nname = 'a b'", "share.name is"),
        ("[[share]]\nname = 'menu'", "needs a name, collections and writers"),
        ("[[share]]\nname = 'menu'\ncollections = ['menu']", "collections and writers"),
        ("[[share]]\nname = 'menu'\ncollections = ['menu']\nwriters = ['all']", "share.writers"),
        (
            2 * "[[share]]\nname = 'menu'\ncollections = ['menu']\nwriters = ['*']\n",
            "two shares are called menu",
        ),
        ("[broker]\nkey = 'x'", "broker.certificate is missing"),
        ("[broker]\nca = 'x'", "no meaning without TLS"),
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "hub.toml"
    path.write_text(text)
    with pytest.raises(GatewayError) as error:
        load_hub(path)
    assert said in error.value.sentence and error.value.sentence.startswith(str(path))
    assert error.value.exit_code == 78


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b.example", {"host": "b.example"}),
        ("b.example:1883", {"host": "b.example", "port": 1_883}),
        ("[::1]:1883", {"host": "::1", "port": 1_883}),
        ("[::1]", {"host": "::1"}),
    ],
)
def test_the_address_of_the_broker(text: str, expected: dict[str, object]) -> None:
    assert _address(text) == expected


def test_an_address_that_is_none() -> None:
    with pytest.raises(GatewayError) as error:
        _address("b.example:mqtt")
    assert error.value.code == "usage"


def test_the_api_is_off_and_needs_tokens_where_others_reach_it(tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    assert not load_hub(None).api.enabled and load_hub(None).api.host == "127.0.0.1"
    path.write_text('[api]\nenabled = true\nhost = "0.0.0.0"')
    with pytest.raises(GatewayError, match="tokens_file"):
        load_hub(path)
    path.write_text('[api]\nenabled = true\nhost = "0.0.0.0"\ntokens_file = "x"\nreaders = 5')
    assert load_hub(path).api.readers == 5
    path.write_text("[api]\nreaders = 0")
    with pytest.raises(GatewayError, match=r"api\.readers"):
        load_hub(path)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("8790", {"enabled": True, "port": 8790}),
        ("0.0.0.0:1", {"enabled": True, "port": 1, "host": "0.0.0.0"}),
        ("[::1]:1", {"enabled": True, "port": 1, "host": "::1"}),
    ],
)
def test_where_the_api_listens(text: str, settings: dict[str, object]) -> None:
    assert _listening(text) == settings
    with pytest.raises(GatewayError):
        _listening(f"{text}x")


WORKER = {
    "pid": 7,
    "broker": {
        "sentence": "The broker is connected.",
        "do": "",
        "retry_s": None,
        "counters": {"messages": 3, "changes": 2, "refused": 1, "wrong": 0},
    },
}
DONE = "3 messages, 2 changes, 1 refused, 0 messages not taken."


@pytest.mark.parametrize(
    ("state", "sentence", "said"),
    [
        ("ok", "The database answers.", "The database answers."),
        (
            "hub-database-unreachable",
            "the hub's database cannot be reached (refused)",
            "The hub's database cannot be reached (refused). It is tried again; messages wait.",
        ),
    ],
)
def test_how_a_worker_does_is_said_in_sentences(state: str, sentence: str, said: str) -> None:
    worker = {**WORKER, "database": {"state": state, "sentence": sentence}}
    assert _line(worker) == f"Worker 7: The broker is connected.\n  {said} {DONE}"
    worker["broker"] = {**WORKER["broker"], "do": "Look.", "retry_s": 3.2}  # type: ignore[dict-item]
    assert "connected. Look. Tried again in 3 s.\n" in _line(worker)


def test_a_token_is_printed_once_with_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["hub-token", "--name", "office", "--write", "--store", STORE]
    assert main([*given, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    (token,) = read_tokens(said["lines"])
    assert token_of([token], said["token"]) is token
    assert token.name == "office" and token.stores == {STORE}
    assert token.scopes == {"read", "write"}
    assert main(["hub-token"]) == 0
    shown = capsys.readouterr().out
    (other,) = read_tokens("[[token]]" + shown.partition("[[token]]")[2])
    assert token_of([other], shown.split()[0]) is other
    assert other.stores == {"*"} and other.scopes == {"read"}
    for given, named in ((["--store", "shop"], "'shop'"), (["--name", "a\nb"], "--name")):
        assert main(["hub-token", *given]) == 64
        said = capsys.readouterr().err
        assert given[0] in said and named in said, "the flag is named, not a file"


def test_a_hubs_settings_are_checked_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hub.toml"
    path.write_text("[database]\nurl = 'postgresql://hub@db.example/hub'\n")
    assert main(["check-config", "--config", str(path)]) == 0
    assert "of the hub are right" in capsys.readouterr().out
    path.write_text("[database]\nuri = 'x'\n")
    assert main(["check-config", "--config", str(path)]) == 78
    assert "database.uri is not a setting; did you mean url?" in capsys.readouterr().err
    # Of both: it is a gateway's, and the sentence names what does not belong there.
    path.write_text("[database]\nurl = ''\n[mqtt]\nenabled = false\n")
    assert main(["check-config", "--config", str(path)]) == 78
    assert "database is not a setting" in capsys.readouterr().err
