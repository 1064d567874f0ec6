"""Members of a store by Bluetooth alone: the gateway whole, real BlueZ, phones outside."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.core.entrance import PairingSecret
from gateway.core.pairing_code import pairing_psk
from gateway.core.session import State
from tests.lab.pi.air import Air
from tests.lab.pi.bluetooth import radio, start_bluetooth
from tests.lab.pi.machine import VirtualPi
from tests.lab.pi.member import Member

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[3]
GATEWAY = ("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "gateway")
DATA = ("--data", "/var/lib/store")
ASK = """
import json, sys
from pathlib import Path
from gateway.control.client import ControlClient

door = ControlClient(Path("/var/lib/store/control.sock"))
print(json.dumps(door.request(sys.argv[1], **json.loads(sys.argv[2]))))
"""


class Store:
    """A claimed gateway in a virtual Pi with Bluetooth."""

    def __init__(self, pi: VirtualPi, air: Air) -> None:
        self.pi = pi
        self.air = air

    async def ask(self, verb: str, **arguments: Any) -> Any:
        """What the control socket answers."""
        command = ("env", f"PYTHONPATH={ROOT}", sys.executable, "-c", ASK, verb)
        return json.loads(await self.pi.run(*command, json.dumps(arguments)))

    async def pair(self, member: Member) -> None:
        """Make a phone a member by Bluetooth."""
        window = await self.ask("pair")
        await member.meet(PairingSecret(pairing_psk(window["code"])))
        assert member.session_ is not None and member.session_.state is State.OPEN
        assert member.membership is not None

    async def read(self, document: str) -> Any:
        """The fields of a document as the gateway has it."""
        return (await self.ask("get", document=document))["content"]["map"]


@asynccontextmanager
async def store(folder: Path, air: Air, debian: str = "") -> AsyncIterator[Store]:
    async with (
        radio(folder, air) as line,
        VirtualPi(folder, lines=(line,), debian=debian) as pi,
    ):
        await start_bluetooth(pi)
        await pi.spawn("gateway", *GATEWAY, "run", *DATA, "--no-pages", "--bluetooth", "--json")
        try:
            await pi.until("/run/gateway.log", '"ready": ?true')
            shop = Store(pi, air)
            assert (await shop.ask("status"))["bluetooth"]["state"] == "bluetooth-unclaimed"
            await pi.run(*GATEWAY, "claim", *DATA)
            yield shop
        finally:
            print(await pi.read("/run/gateway.log"))


def test_a_note_reaches_another_phone_without_any_network(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        async with (
            store(tmp_path, air) as shop,
            Member(air, 1, "notes") as nurse,
            Member(air, 2, "notes") as doctor,
        ):
            await shop.pair(nurse)
            await shop.pair(doctor)
            nurse.change("notes/7", "text", "fever since monday")
            await doctor.until(lambda: doctor.read("notes/7") == {"text": "fever since monday"})
            doctor.change("notes/7", "seen", True)
            await nurse.until(lambda: nurse.read("notes/7").get("seen") is True)
            assert await shop.read("notes/7") == {"text": "fever since monday", "seen": True}

    asyncio.run(main())
