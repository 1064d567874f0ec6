"""The command ``doctor``: looks at what lets two devices meet, and says what is wrong."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gateway.core.errors import GatewayError

if TYPE_CHECKING:
    from gateway.core.diagnosis import Seen, Target
    from gateway.core.mesh_session import MeshSession

EX_FOUND = 1
ID_BYTES = 16
DOCTOR = """\
Without HOST it looks at this device, its network, and the gateway or peer that runs on it; with
HOST also at the way to that device. Exit code 0 when nothing is wrong, 1 when something was found.
It takes a few seconds.
  %(prog)s
  %(prog)s 192.168.1.20
"""

AddCommand = Callable[..., argparse.ArgumentParser]
Ask = Callable[..., Mapping[str, Any]]


class _Clock:
    def monotonic(self) -> float:
        return time.monotonic()


def add(
    add_command: AddCommand,
    ask: Callable[[argparse.Namespace], Ask],
    folder: Callable[[argparse.Namespace], Path],
    url: Callable[[str], str],
    say: Callable[[str], None],
) -> None:
    """Add the command by ``add_command(name, function, summary, more)``.

    ``url`` makes the URL of a peer from what people write.
    """

    def run(options: argparse.Namespace) -> int:
        where = url(options.host) if options.host else ""
        findings = _findings(ask(options), folder(options), where)
        ok = not findings
        say(json.dumps({"ok": ok, "findings": findings}) if options.json else _page(findings))
        return 0 if ok else EX_FOUND

    summary = "why two devices do not see each other"
    parser = add_command("doctor", run, summary, DOCTOR)
    parser.add_argument(
        "host", nargs="?", metavar="HOST[:PORT]", help="the device this one should see"
    )


def _findings(ask: Ask, folder: Path, url: str) -> list[dict[str, str]]:
    from gateway.adapters.multicast import ask_everywhere
    from gateway.adapters.rtnetlink import own_addresses
    from gateway.core.diagnosis import Facts, diagnose

    addresses = tuple(own_addresses())
    examination = _Examination(ask, folder)
    target = asyncio.run(examination.target(url)) if url else None
    facts = Facts(examination.device, addresses, ask_everywhere(addresses), target)
    return [asdict(finding) for finding in diagnose(facts)]


def _page(findings: Sequence[Mapping[str, str]]) -> str:
    if not findings:
        return "Nothing is wrong: this device and what it should see can meet."
    return "\n\n".join(
        f"{one['what']}. [{one['code']}]\n  Why: {one['why']}\n  Do:  {one['do']}"
        for one in findings
    )


class _Examination:
    """What the running gateway says, and who this device is on its disk if none runs."""

    def __init__(self, ask: Ask, folder: Path) -> None:
        from gateway.adapters.identity_file import IdentityFolder
        from gateway.core.diagnosis import Device
        from gateway.runtime.identity import Identity
        from gateway.runtime.members import Members

        peer = _peer_id(folder)
        kept = Identity(IdentityFolder(folder / "identity"), os.urandom)
        self._members = Members(peer, kept, _Clock(), os.urandom, "doctor")
        running = True
        status: Mapping[str, Any] = {"sessions": []}
        said: Mapping[str, Any] = {"neighbours": [], "off": ""}
        try:
            status, said = ask("status"), ask("neighbours")
        except GatewayError as error:
            if error.code != "not-running":
                raise
            running = False
        self._linked = {
            session["peer"]
            for session in status["sessions"]
            if session["kind"] == "mesh" and session["state"] == "open"
        }
        self.device = Device(
            str(folder), running, peer.hex(), self._members.store_hint, said["off"],
            tuple(map(_seen, said["neighbours"])), len(self._linked), radio_of(status),
            cloud_of(status),
        )  # fmt: skip

    async def target(self, url: str) -> Target:
        """The way to a peer, and how it greets this device."""
        from gateway.adapters.attempt import attempt
        from gateway.adapters.websocket import WebSocketCaller
        from gateway.core.diagnosis import Port, Target
        from gateway.core.framing import MESSAGE_BYTES
        from gateway.core.noise_transport import sealed_bytes
        from gateway.runtime.examination import greet

        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 0
        ips, met = attempt(host, port)
        greeting = None
        if met is Port.OPEN:
            caller = WebSocketCaller(sealed_bytes(MESSAGE_BYTES))
            try:
                link = await caller.connect(url)
                greeting = await greet(link, self._session(url), self._linked)
            except GatewayError:
                pass  # what answers there is no peer
            finally:
                caller.close()
        return Target(parts.netloc, ips, met, greeting)

    def _session(self, url: str) -> MeshSession:
        from gateway.core.handshake import LocalPeer
        from gateway.runtime.sessions import Sessions

        members = self._members
        # A stranger's id, so that no link of ours is taken for a second one; who is of a store
        # has to show its own.
        peer = os.urandom(ID_BYTES) if members.is_open else members.peer
        own = LocalPeer(peer, 0, (("name", "doctor"),))
        return Sessions(own, members, time.monotonic, open_=False).calling(url)


def _peer_id(folder: Path) -> bytes:
    try:
        return bytes.fromhex((folder / "peer-id").read_text())
    except (OSError, ValueError):
        return os.urandom(ID_BYTES)


def radio_of(status: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """What is wrong with the Bluetooth of a gateway with this status: code, what, what to do."""
    from gateway.core.radio import OFF, OK

    # A gateway of an older version says nothing of it.
    said = status.get("bluetooth", {"state": OFF.code})
    if said["state"] in (OFF.code, OK.code):
        return None
    return said["state"], said["sentence"].removesuffix("."), said["do"]


def cloud_of(status: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """What is wrong with the cloud of a gateway with this status: code, what, what to do."""
    said = status.get("cloud", {"broken": False})
    if not said["broken"]:
        return None
    return said["state"], said["sentence"].removesuffix("."), said["do"]


def _seen(row: Mapping[str, Any]) -> Seen:
    from gateway.core.diagnosis import Seen

    return Seen(row["peer"], tuple(row["addresses"]), row["state"], row["store"], row["problem"])
