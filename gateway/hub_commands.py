"""The commands of a hub: hub, hub-key, hub-status, hub-token (docs/hub.md)."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway import __version__
from gateway.core.errors import GatewayError
from gateway.store_commands import PROGRAM

if TYPE_CHECKING:
    from gateway.hub_config import HubConfig

EX_USAGE = 64
EX_UNAVAILABLE = 69
HUB = f"""\
A hub holds the documents of many stores. It needs an MQTT broker that the gateways reach:
  %(prog)s                            a broker on this machine, port 1883; data in your folder
  {PROGRAM} hub-key                   its public key, for [mqtt] hub of each gateway
  {PROGRAM} hub-status                how it does
Each gateway needs this in its settings:
  [mqtt]
  enabled = true
  host = "broker.example"
  hub = "THE KEY"
Start it as often as you like, on one machine or on many with [database] and the same key file: its
workers share what comes. Settings, shares and databases: docs/hub.md.
"""
KEY = """\
The key is made at first use. Its file is the hub's identity: copy it to each machine of the hub,
and to a safe place.
"""

TOKEN = f"""\
It prints a token, which is kept nowhere, and lines for the file that api.tokens_file names:
  {PROGRAM} hub-token --name reports
  {PROGRAM} hub-token --name office --write --store 433703b7bc6ca46e9e7e8e168a219e17
"""

Say = Callable[[str], None]
AddCommand = Callable[..., argparse.ArgumentParser]


def add(add_command: AddCommand, say: Say) -> None:
    """Add the commands by ``add_command(name, function, summary, more)``."""
    hub = add_command("hub", partial(_hub, say), "be a hub for many stores: one worker of it", HUB)
    hub.add_argument("--broker", metavar="HOST[:PORT]", help="where the broker is (localhost)")
    hub.add_argument(
        "--api", metavar="[ADDRESS:]PORT", help="answer by HTTP there (docs/hub-api.md)"
    )
    add_command("hub-key", partial(_key, say), "print the public key of the hub", KEY)
    add_command("hub-status", partial(_status, say), "how the workers of the hub do here")
    token = add_command("hub-token", partial(_token, say), "make a token for the API", TOKEN)
    token.add_argument("--name", default="", help="what it is for")
    token.add_argument("--write", action="store_true", help="it may put and patch documents, too")
    token.add_argument(
        "--store",
        action="append",
        metavar="ID",
        help="a store, or share:NAME; may be repeated (all)",
    )


def has_checked(path: Path | None) -> bool:
    """Whether a settings file is a hub's. Raises ``GatewayError`` where it is and is wrong."""
    from gateway.hub_config import is_of_hub, load_hub

    if not is_of_hub(path):
        return False
    load_hub(path)
    return True


def _hub(say: Say, options: argparse.Namespace) -> int:
    from gateway import cloud_hub

    cloud_hub.run(_config(options), os.urandom, partial(_ready, say, options.json))
    return 0


def _key(say: Say, options: argparse.Namespace) -> int:
    from gateway import cloud_hub

    config = _config(options)
    key = cloud_hub.public_key(config, os.urandom)
    said = json.dumps({"ok": True, "key": key, "file": str(config.key_path)})
    say(said if options.json else key)
    return 0


def _status(say: Say, options: argparse.Namespace) -> int:
    workers = list(_workers(Path(_config(options).folder).absolute()))
    if not workers:
        sentence = f"no worker of a hub runs here; start it with {PROGRAM} hub, or name --data"
        raise GatewayError("not-running", sentence, EX_UNAVAILABLE)
    say(json.dumps({"workers": workers}) if options.json else "\n".join(map(_line, workers)))
    return 0


def _token(say: Say, options: argparse.Namespace) -> int:
    from gateway.core.hub_tokens import EVERY, READ, TOKEN_BYTES, WRITE, is_space, lines, made

    for store in options.store or ():
        if store != EVERY and not is_space(store):
            sentence = (
                f"--store takes the id of a store, 32 hex digits, or share:NAME: not {store!r}"
            )
            raise GatewayError("usage", sentence, EX_USAGE)
    token = made(os.urandom(TOKEN_BYTES))
    scopes = [READ, WRITE] if options.write else [READ]
    try:
        text = lines(options.name or "token", token, scopes, options.store or [EVERY])
    except GatewayError as error:
        # Of all that is given the name alone may still be wrong.
        sentence = "--name takes 1 to 100 printable characters"
        raise GatewayError("usage", sentence, EX_USAGE) from error
    if options.json:
        say(json.dumps({"ok": True, "token": token, "lines": text}))
    else:
        say(f"{token}\n\nShown this once. Append to the file of api.tokens_file:\n\n{text}")
    return 0


def _workers(folder: Path) -> list[Mapping[str, Any]]:
    from gateway.cloud_hub import SOCKETS
    from gateway.control.client import ControlClient
    from gateway.control.messages import ControlError

    found: list[Mapping[str, Any]] = []
    for path in sorted(folder.glob(SOCKETS)):
        try:
            found.append(ControlClient(path).request("status"))
        except ControlError as error:
            # Who was killed could not remove its door.
            if error.code == "not-running":
                path.unlink(missing_ok=True)
    return found


def _line(worker: Mapping[str, Any]) -> str:
    broker, database = worker["broker"], worker["database"]
    counts = broker["counters"]
    again = "" if database["state"] == "ok" else " It is tried again; messages wait."
    retry = broker["retry_s"]
    first = f"Worker {worker['pid']}: {broker['sentence']} {broker['do']}".rstrip()
    if retry is not None:
        first += f" Tried again in {retry:.0f} s."
    return (
        f"{first}\n  {_sentence(database['sentence'])}{again} {counts['messages']} messages,"
        f" {counts['changes']} changes, {counts['refused']} refused,"
        f" {counts['wrong']} messages not taken."
    )


def _sentence(text: str) -> str:
    """What an error says, as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _ready(say: Say, as_json: bool, facts: Mapping[str, Any]) -> None:
    if as_json:
        say(json.dumps({"ready": True, **facts, "pid": os.getpid(), "version": __version__}))
        return
    say(f"Store Gateway {__version__}, a hub\n")
    say(f"  Broker     {facts['address']}, topics below {facts['root']}")
    say(f"  Database   {facts['kind']}")
    if facts["api"]:
        say(f"  API        {facts['api']}")
    say(f"  Data       {facts['data']}")
    say(f"  Key        {facts['key']}   for [mqtt] hub of each gateway\n")
    say(f"{PROGRAM} hub-status says how it does. Ctrl-C stops it; nothing saved is lost.")


def _config(options: argparse.Namespace) -> HubConfig:
    from gateway.hub_config import load_hub, override_hub

    given: dict[str, Any] = {}
    if options.data is not None:
        given["folder"] = str(options.data.absolute())
    if getattr(options, "broker", None):
        given["broker"] = _address(options.broker)
    if getattr(options, "api", None):
        given["api"] = _listening(options.api)
    loaded = load_hub(options.config)
    try:
        return override_hub(loaded, given, "command line")
    except GatewayError as error:
        raise GatewayError(error.code, error.sentence, EX_USAGE) from error


def _address(text: str) -> dict[str, Any]:
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        return {"host": text.strip("[]")}
    if not port.isdecimal():
        sentence = f"--broker takes HOST or HOST:PORT, not {text!r}"
        raise GatewayError("usage", sentence, EX_USAGE)
    return {"host": host.strip("[]"), "port": int(port)}


def _listening(text: str) -> dict[str, Any]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal():
        raise GatewayError("usage", f"--api takes PORT or ADDRESS:PORT, not {text!r}", EX_USAGE)
    return {"enabled": True, "port": int(port), **({"host": host.strip("[]")} if host else {})}
