"""The commands about the store: claim, pair, devices, revoke, token; they talk to the gateway."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway.core.errors import GatewayError

if TYPE_CHECKING:
    from gateway.core.entrance import PairingSecret

# What people typed to get here, so that what help and errors name can be typed too.
PROGRAM = os.environ.get("STORE_GATEWAY_COMMAND", "store-gateway")
# How often a gateway that waits for a device is asked, in seconds.
POLL_SECONDS = 0.5
EX_USAGE = 64
EX_UNAVAILABLE = 69
EX_INTERRUPTED = 130
_RIGHTS = {"r": 1, "w": 2, "rw": 3}
_WORDS = {1: "read", 2: "write", 3: "read and write"}
_ENDINGS = {
    "expired": "The time is over; nobody was paired.",
    "too-many-tries": "Closed after too many wrong tries; nobody was paired.",
    "closed": "Closed; nobody was paired.",
}
CLAIM = """\
Without --recovery-code it makes a new store, and prints its recovery code once. With one, this
gateway joins the store that the code is of; the code is asked for, or read from standard input.
"""
PAIR = f"""\
It shows a QR code and a code to type, and waits until a device used one of them:
  {PROGRAM} peer --connect ADDRESS --pair CODE
Examples:
  %(prog)s
  %(prog)s --role kiosk --grant 'orders rw' --grant 'menu r'
"""

Ask = Callable[..., Mapping[str, Any]]
Command = Callable[[argparse.Namespace], int]
AddCommand = Callable[..., argparse.ArgumentParser]


def add(add_command: AddCommand, ask: Callable[[argparse.Namespace], Ask]) -> None:
    """Add the commands by ``add_command(name, function, summary, more)``."""

    def asking(run: Callable[[argparse.Namespace, Ask], int]) -> Command:
        return lambda options: run(options, ask(options))

    claim = add_command("claim", asking(_claim), "make a store, or join one", CLAIM)
    claim.add_argument("--name", help="what people call the store")
    claim.add_argument(
        "--recovery-code", nargs="?", const="-", metavar="CODE",
        help="join the store of this code; without CODE it is asked for",
    )  # fmt: skip
    pair = add_command("pair", asking(_pair), "let a new device in", PAIR)
    pair.add_argument("--minutes", type=float, metavar="M", help="how long it may take (10)")
    pair.add_argument("--no-qr", action="store_true", help="show no QR code")
    add_command("devices", asking(_devices), "list the devices of the store")
    revoke = add_command("revoke", asking(_revoke), "shut a device out, here and everywhere")
    revoke.add_argument("device", help="its id, or how it begins")
    token = add_command("token", asking(_token), "make a token for a plain y-websocket client")
    token.add_argument("--name", help="what it is for")
    for parser in (pair, token):
        parser.add_argument("--role", help="what it is in the store (device)")
        parser.add_argument(
            "--grant", action="append", type=_grant, metavar="'COLLECTION r|rw'",
            help="what it may do; may be repeated (everything)",
        )  # fmt: skip


def pairing(options: argparse.Namespace) -> PairingSecret:
    """What --pair gave; the addresses in a QR code are called unless others are named."""
    from gateway.core.entrance import PairingSecret
    from gateway.core.pairing_code import pairing_psk
    from gateway.core.pairing_uri import is_uri, read_invitation

    if is_uri(options.pair):
        invitation = read_invitation(options.pair)
        options.connect = options.connect or list(invitation.addresses)
        return PairingSecret(invitation.secret, invitation.static, invitation.store)
    return PairingSecret(pairing_psk(options.pair))


def _claim(options: argparse.Namespace, ask: Ask) -> int:
    code = options.recovery_code
    if code == "-":
        prompt = "Recovery code: "
        code = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().strip()
    if code is not None and not code:
        raise GatewayError("usage", "no recovery code was given", EX_USAGE)
    answer = ask("claim", name=options.name, recovery_code=code)
    if options.json:
        print(json.dumps({"ok": True, **answer}))
        return 0
    if code is not None:
        print(f"This gateway is of the store {answer['store']} now. Only members are let in.")
        return 0
    print(
        f"This gateway is the first of a new store, {answer['store']}. Only members are let in.\n"
    )
    print(f"  {answer['recovery_code']}\n")
    print(
        "This is the recovery code. It is shown only now and kept nowhere: write it on paper, and"
    )
    print("keep the paper where you keep the keys of the shop. With it another gateway joins the")
    print("store, or replaces this one; who has it owns the store.")
    print(f"\nLet the first device in: {PROGRAM} pair")
    return 0


def _pair(options: argparse.Namespace, ask: Ask) -> int:
    given = {"role": options.role, "grants": options.grant, "minutes": options.minutes}
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    window = ask("pair", **{key: value for key, value in given.items() if value is not None})
    try:
        _show(options, window)
        state = _wait(options, partial(ask, "pairing", window=window["window"]))
    except KeyboardInterrupt:
        # A second one must not leave the window open.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ask("pair-close", window=window["window"])
        print("\nClosed; nobody was paired.", file=sys.stderr)
        return EX_INTERRUPTED
    if options.json:
        print(json.dumps({"event": state["state"], **state}), flush=True)
    elif state["state"] == "paired":
        print(f"Paired: {state['name']} ({state['peer']})")
    else:
        print(_ENDINGS.get(state["state"], "Nobody was paired."), file=sys.stderr)
    return 0 if state["state"] == "paired" else EX_UNAVAILABLE


def _show(options: argparse.Namespace, window: Mapping[str, Any]) -> None:
    if options.json:
        print(json.dumps({"event": "open", **window}), flush=True)
        return
    if not options.no_qr:
        from gateway.adapters.qr import terminal_qr

        print(terminal_qr(window["uri"]))
    address = window["addresses"][0] if window["addresses"] else "ADDRESS"
    print(f"  {window['code']}\n")
    print("Scan the QR code or type the code above on the device, or run on it:")
    print(f"  {PROGRAM} peer --connect {address} --pair {window['code']}")
    print(
        f"It will be a {window['role']}: {_listed(window['grants'])}. Ctrl-C ends this.", flush=True
    )


def _wait(options: argparse.Namespace, poll: Ask) -> Mapping[str, Any]:
    counts = not options.json and sys.stdout.isatty()
    while (state := poll())["state"] == "open":
        if counts:
            minutes, seconds = divmod(int(state["seconds"]), 60)
            print(f"\r  {minutes}:{seconds:02} left, {state['tries']} tries ", end="", flush=True)
        time.sleep(POLL_SECONDS)
    if counts:
        print()
    return state


def _devices(options: argparse.Namespace, ask: Ask) -> int:
    devices: Sequence[Mapping[str, Any]] = ask("devices")["devices"]
    if options.json:
        print(json.dumps({"devices": devices}))
        return 0
    if not devices:
        print(f"No device was paired here yet: {PROGRAM} pair")
    for device in devices:
        if device["revoked"]:
            state = "shut out"
        elif device["linked"]:
            state = f"linked ({device['link']})"
        else:
            state = f"away, last by {device['link']}" if device["link"] else "away"
        kind = "token" if device["token"] else device["role"]
        print(f"{device['peer']}  {device['name'] or '-':20}  {kind:10}  {state}")
        print(f"  {_listed(device['grants'])}")
    return 0


def _revoke(options: argparse.Namespace, ask: Ask) -> int:
    answer = ask("revoke", peer=options.device)
    said = f"{answer['peer']} is shut out; other gateways learn it when they are linked"
    print(json.dumps({"ok": True, **answer}) if options.json else said)
    return 0


def _token(options: argparse.Namespace, ask: Ask) -> int:
    answer = ask("token", role=options.role, name=options.name, grants=options.grant)
    if options.json:
        print(json.dumps({"ok": True, **answer}))
        return 0
    print(answer["token"])
    print(f"Whoever has it may: {_listed(answer['grants'])}. Use it as", file=sys.stderr)
    print("ws://HOST:8787/sync/COLLECTION/ID?token=…", file=sys.stderr)
    print(f"Take it back by {PROGRAM} revoke {answer['peer'][:8]}", file=sys.stderr)
    return 0


def _grant(text: str) -> tuple[str, int]:
    collection, _, rights = text.strip().rpartition(" ")
    if not collection or rights not in _RIGHTS:
        raise argparse.ArgumentTypeError(f"a collection (or *) and r or rw, not {text!r}")
    return collection.strip(), _RIGHTS[rights]


def _listed(grants: Sequence[Sequence[Any]]) -> str:
    def one(pattern: str, rights: int) -> str:
        return f"{_WORDS[rights]} {'everything' if pattern == '*' else pattern}"

    return ", ".join(one(pattern, rights) for pattern, rights in grants)
