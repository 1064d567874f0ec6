"""The command line: arguments → config → run; fatal errors to exit codes and one sentence."""

import argparse
import contextlib
import json
import logging
import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway import (
    __version__,
    config,
    doctor,
    document_commands,
    hub_commands,
    question_commands,
    simulate_command,
    store_commands,
)
from gateway.adapters.console import ENDED_BY_READER, output_lost
from gateway.arguments import whole_number
from gateway.core.errors import GatewayError
from gateway.store_commands import PROGRAM

# A thread that checks a large message must not hold the loop up for longer than this.
SWITCH_SECONDS = 0.0005
EX_USAGE = 64
EX_UNAVAILABLE = 69
# What a running gateway says no to (sysexits(3): usage, data, no input); else it is unavailable.
EXIT_CODES = {
    "usage": EX_USAGE, "bad-name": EX_USAGE, "store-backup-target": EX_USAGE, "claimed": EX_USAGE,
    "not-claimed": EX_USAGE, "not-a-gateway": EX_USAGE, "recovery-code": EX_USAGE,
    "shared-type": 65, "refused": 65, "too-big": 65, "quota": 65, "no-document": 66,
}  # fmt: skip
# A LAN needs less; a gateway that starts at the same time is there by then.
ONCE_SECONDS = 30.0
# Options of a peer and settings ([budget]) alike.
BUDGETS = ("bytes_per_second", "documents", "storage")
# As a shell says of who was ended by SIGINT.
INTERRUPTED = 130
PEER = """\
It keeps a store of its own, syncs with every peer it reaches, and goes on without any. Standard
output is one JSON object a line:
  {"event": "ready", "peer": ...}
  {"event": "link", "state": "open" | "closed", "address": ..., "peer": ...}
  {"event": "link", "state": "refused" | "unreachable", "address": ..., "reason": ...}
  {"event": "change", "document": "orders/7", "content": {...}}    new, or changed
  {"event": "left", "document": "orders/7", "content": {...}}      matches no more
  {"event": "delivered", "document": "orders/7", "peer": ...}      that peer has it on its disk
  {"event": "refused", "document": "orders/7", "code": ..., "reason": ...}
Standard input takes one request a line; each is answered by a line once it is on the disk:
  {"verb": "put", "document": "orders/7", "content": {"station": "grill"}, "id": 1}
  {"verb": "patch", "document": "orders/7", "content": {"status": "done"}}
  {"verb": "get", "document": "orders/7"}       content: all of it; fields: what put takes
An id is a text or a whole number, and comes back as it came. At the end of the input the peer goes
on, until SIGTERM or until nobody reads it. With --once it says {"event": "done"} and ends: exit
code 0 when peers have all of it on their disks, 65 when some was not taken, 75 when nobody had it
in time.
A link that was not let in is told once, with a code (unauthorised, revoked, other-store, ...):
  {"event": "link", "state": "refused", "code": ..., "reason": ..., "address": ...}
Without --subscribe it keeps everything.
Without --connect and --listen it looks for gateways and peers in the network and calls them. With
--connect it calls those and nobody else. With --listen on an address that others reach it looks
for peers and is found by them; on this machine only it is not. See the command neighbours.
--pair is needed once: what it got by it is in its data folder from then on.
  %(prog)s
  %(prog)s --connect 192.168.1.20 --subscribe 'orders {"station": "grill"}'
  %(prog)s --connect 192.168.1.20 --once < orders.jsonl
  %(prog)s --connect 192.168.1.20 --pair 9V3ZK-0TQ4C-7RMDX-1W8AE
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code of the process."""
    options, unknown = _parser().parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except GatewayError as error:
        if options.json:
            with contextlib.suppress(GatewayError):
                _say(json.dumps({"ok": False, "code": error.code, "error": error.sentence}))
        if error.exit_code != ENDED_BY_READER:
            print(f"store-gateway: {error.sentence}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def _say(text: str, end: str = "\n") -> None:
    """Write to standard output. Raises ``GatewayError`` when that cannot be written."""
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        # What is left in the buffer must not fail once more when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise output_lost(error) from error


def _run(options: argparse.Namespace) -> int:
    from gateway import app

    sys.setswitchinterval(SWITCH_SECONDS)
    _allow_many_links()
    settings = _settings(options)
    app.run(settings, os.urandom, _announce_json if options.json else _announce)
    return 0


def _peer(options: argparse.Namespace) -> int:
    from gateway import app

    sys.setswitchinterval(SWITCH_SECONDS)
    _allow_many_links()
    options.data = options.data or Path(config.default_data("store-gateway-peer"))
    pairing = store_commands.pairing(options) if options.pair else None
    settings = _settings(options)
    mesh = settings.mesh
    if not (mesh.connect or mesh.discover or settings.listen.enabled):
        sentence = (
            "there is nobody to sync with: name a peer with --connect, --listen for some,"
            " or leave --no-discovery out"
        )
        raise GatewayError("nobody", sentence, EX_USAGE)
    if (settings.budget.evict or settings.budget.storage) and not mesh.subscribe:
        sentence = "without --subscribe everything is wanted, so nothing can be evicted"
        raise GatewayError("usage", sentence, EX_USAGE)
    app.run(settings, os.urandom, None, pairing, options.timeout if options.once else None)
    return 0


def _allow_many_links() -> None:
    """Raise the soft limit of open files, often 1,024, to the hard one: a link needs one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _settings(options: argparse.Namespace) -> config.Config:
    given = _peer_options(options) if options.command is _peer else _run_options(options)
    if options.data is not None:
        given["store"] = {"folder": str(options.data.absolute())}
    if options.connect:
        given["mesh"] = {**given.get("mesh", {}), "connect": options.connect}
    if options.no_discovery:
        given["mesh"] = {**given.get("mesh", {}), "discover": False}
    if options.name is not None:
        given["name"] = options.name
    loaded = config.load(options.config)
    try:
        return config.override(loaded, given, "command line")
    except GatewayError as error:
        raise GatewayError(error.code, error.sentence, EX_USAGE) from error


def _run_options(options: argparse.Namespace) -> dict[str, Any]:
    listen: dict[str, Any] = {}
    pages: dict[str, Any] = {}
    if options.lan:
        listen["host"] = "0.0.0.0"
    if options.port is not None:
        listen["port"], pages["port"] = options.port, 0
    if options.pages_port is not None:
        pages["port"] = options.pages_port
    if options.no_pages:
        pages["enabled"] = False
    bluetooth = {"enabled": True} if options.bluetooth else {}
    return {"listen": listen, "pages": pages, "bluetooth": bluetooth}


def _peer_options(options: argparse.Namespace) -> dict[str, Any]:
    listen: dict[str, Any] = {"enabled": False}
    if options.listen is not None:
        host, _, port = options.listen.rpartition(":")
        if not port.isdecimal():
            sentence = f"--listen takes a port or ADDRESS:PORT, not {options.listen!r}"
            raise GatewayError("usage", sentence, EX_USAGE)
        listen = {"enabled": True, "port": int(port), **({"host": host} if host else {})}
    given: dict[str, Any] = {"listen": listen, "pages": {"enabled": False}}
    if options.subscribe:
        given["mesh"] = {"subscribe": options.subscribe}
    budgets = {name: getattr(options, f"budget_{name}") for name in BUDGETS}
    given["budget"] = {name: value for name, value in budgets.items() if value is not None}
    if options.evict:
        given["budget"]["evict"] = True
    return given


def _announce_json(facts: Mapping[str, Any]) -> None:
    _say(json.dumps({"ready": True, **facts, "pid": os.getpid(), "version": __version__}))


def _announce(facts: Mapping[str, Any]) -> None:
    _say(f"Store Gateway {__version__}\n")
    if "pages" in facts:
        _say(f"  Look here  {_reached(facts['pages'])}   kiosk, kitchen, clinic, status")
    _say(f"  SDK        {_reached(facts['mesh'])}")
    _say(f"  Yjs apps   {_reached(facts['sync'])}<collection>/<id>")
    if facts["bluetooth"]:
        does = "says how it does" if facts["claimed"] else "says how it does; it begins with claim"
        _say(f"  Bluetooth  {PROGRAM} status {does}")
    _say(f"  Data       {facts['data']}\n")
    if facts["open"]:
        _say(f"Open: whoever reaches this port may read and write; {PROGRAM} claim ends that.")
    elif facts["claimed"]:
        _say("Closed: only members of the store are let in.", end=" ")
    else:
        _say(f"Closed: nobody is let in until {PROGRAM} claim (access.open).", end=" ")
    _say("Ctrl-C stops it; nothing saved is lost.")


def _reached(url: str) -> str:
    """The URL with the first address that other devices reach, where it names all addresses."""
    from gateway.adapters.rtnetlink import own_addresses
    from gateway.core.announcement import announced

    host = urlsplit(url).hostname or ""
    found = announced(host, own_addresses()) if host in ("0.0.0.0", "::") else ()
    shown = f"[{found[0]}]" if found and ":" in found[0] else "".join(found[:1])
    return url.replace(f"[{host}]" if ":" in host else host, shown, 1) if shown else url


def _check(options: argparse.Namespace) -> int:
    from gateway import app

    whose = ""
    try:
        if hub_commands.has_checked(options.config):
            whose = " of the hub"
        else:
            app.mesh_of(config.load(options.config))
    except GatewayError as error:
        raise GatewayError(error.code, error.sentence, config.EX_CONFIG) from error
    said = f"{options.config or 'the defaults'}: all settings{whose} are right"
    _say(json.dumps({"ok": True}) if options.json else said)
    return 0


def _restore(options: argparse.Namespace) -> int:
    from gateway.adapters.sqlite_recovery import restore

    folder = _folder(options)
    restore(folder, options.file.absolute())
    sentence = f"restored from {options.file}; what was there before is kept beside it"
    _say(json.dumps({"ok": True, "data": str(folder)}) if options.json else sentence)
    return 0


def _ask(options: argparse.Namespace, verb: str, **arguments: Any) -> Mapping[str, Any]:
    from gateway.control.client import ControlClient
    from gateway.control.messages import ControlError

    try:
        return ControlClient(_folder(options) / "control.sock").request(verb, **arguments)
    except ControlError as error:
        exit_code = EXIT_CODES.get(error.code, EX_UNAVAILABLE)
        raise GatewayError(error.code, error.sentence, exit_code) from error


def _folder(options: argparse.Namespace) -> Path:
    return Path(options.data or config.load(options.config).store.folder).absolute()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="Keeps a store's devices in sync when the internet is gone.",
        epilog="First try: %(prog)s run, then open the address it prints in two windows.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    run = _command(commands, "run", _run, "start the gateway in the foreground")
    run.add_argument("--port", type=int, metavar="N", help="port for sync (0: any free one)")
    run.add_argument("--pages-port", type=int, metavar="N", help="port for the pages")
    run.add_argument("--no-pages", action="store_true", help="do not start the pages")
    run.add_argument("--lan", action="store_true", help="let other devices in the network in")
    run.add_argument("--bluetooth", action="store_true", help="let phones in by Bluetooth LE, too")
    _mesh_arguments(run)
    peer = _command(commands, "peer", _peer, "be a small peer of a store, for scripts", PEER)
    peer.add_argument(
        "--subscribe",
        action="append",
        metavar="TEXT",
        help="a collection, and a selector if not all of it is wanted; may be repeated",
    )
    peer.add_argument(
        "--pair",
        metavar="CODE",
        help="become a member of the store by this code, or a QR code's text",
    )
    peer.add_argument(
        "--once", action="store_true",
        help="end when the input ended and a peer has all that was changed by it",
    )  # fmt: skip
    peer.add_argument(
        "--timeout", type=_seconds, default=ONCE_SECONDS, metavar="S",
        help=f"with --once: seconds after the end of the input to give up ({ONCE_SECONDS:g})",
    )  # fmt: skip
    peer.add_argument("--listen", metavar="[ADDRESS:]PORT", help="let other peers call this one")
    _budget_arguments(peer)
    _mesh_arguments(peer)
    _command(
        commands, "check-config", _check, "check a settings file, of a gateway or a hub, and exit"
    )
    add_command, asking = partial(_command, commands), partial(partial, _ask)
    question_commands.add(add_command, asking, _say)
    doctor.add(add_command, asking, _folder, config.peer_url, _say)
    store_commands.add(add_command, asking)
    document_commands.add(add_command, asking, _say)
    restore = _command(commands, "restore", _restore, "replace all data by a backup")
    restore.add_argument("file", type=Path)
    hub_commands.add(add_command, _say)
    simulate_command.add(add_command, _allow_many_links, _say)
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"seconds from 0 to 86400, not {text!r}")
    return seconds


def _mesh_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--connect", action="append", metavar="ADDRESS", help="a peer to call; may be repeated"
    )
    parser.add_argument(
        "--no-discovery",
        action="store_true",
        help="do not look for peers in the network, nor be found there",
    )
    parser.add_argument("--name", help="what this device is called")


def _budget_arguments(parser: argparse.ArgumentParser) -> None:
    for name, what in (
        ("bytes-per-second", "bytes in a second, either way"),
        ("documents", "documents of its subscriptions"),
        ("storage", "bytes of its store"),
    ):
        most = f"--budget-{name}"
        parser.add_argument(
            most, type=whole_number(0, 1 << 40), metavar="N", help=f"at most N {what}"
        )
    parser.add_argument(
        "--evict", action="store_true",
        help="keep nothing that no --subscribe holds and a gateway has on its disk",
    )  # fmt: skip


def _command(
    commands: Any,
    name: str,
    function: Callable[[argparse.Namespace], int],
    summary: str,
    more: str = "",
    *,
    bare: bool = False,
) -> argparse.ArgumentParser:
    """``bare``: of a command that has nothing to do with a gateway's settings and data."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=function, parser=parser)
    if not bare:
        parser.add_argument("--config", type=Path, metavar="FILE", help="settings (TOML)")
        parser.add_argument("--data", type=_named, metavar="DIR", help="folder of the data")
    parser.add_argument("--json", action="store_true", help="one JSON line for scripts")
    parser.add_argument("--verbose", action="store_true", help="say more on standard error")
    return parser


def _named(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("name a folder")
    return Path(text)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        if "--json" in sys.argv:
            print(json.dumps({"ok": False, "code": "usage", "error": message}))
        self.exit(EX_USAGE, f"store-gateway: {message}; see {self.prog} --help\n")


if __name__ == "__main__":
    sys.exit(main())
