"""A store whose gateway serves phones by Bluetooth, in the virtual Pi."""

import json
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.core.entrance import PairingSecret
from gateway.core.pairing_code import pairing_psk
from gateway.core.session import State
from tests.lab.pi.air import Air
from tests.lab.pi.bluetooth import radio, start_bluetooth
from tests.lab.pi.machine import VirtualPi
from tests.lab.pi.member import Member

ROOT = Path(__file__).resolve().parents[3]
# Python in the guest that finds the checkout.
PYTHON = ("env", f"PYTHONPATH={ROOT}", sys.executable)
GATEWAY = (*PYTHON, "-m", "gateway")
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
        return json.loads(await self.pi.run(*PYTHON, "-c", ASK, verb, json.dumps(arguments)))

    async def write(self, updates: Iterable[tuple[str, bytes]]) -> None:
        """Let an app beside the gateway write updates of documents."""
        await self._with(updates, "app")

    async def fill(self, updates: Iterable[tuple[str, bytes]]) -> None:
        """End the gateway, put updates into its store and start it again."""
        await self.pi.end("gateway")
        await self._with(updates, "fill")
        await self.start()

    async def start(self) -> None:
        """Start the gateway."""
        await self.pi.spawn(
            "gateway", *GATEWAY, "run", *DATA, "--no-pages", "--bluetooth", "--json"
        )
        await self.pi.until("/run/gateway.log", '"ready": ?true')

    async def _with(self, updates: Iterable[tuple[str, bytes]], program: str) -> None:
        file = self.pi.folder / "updates.json"
        file.write_text(json.dumps([(name, update.hex()) for name, update in updates]))
        await self.pi.run(*PYTHON, "-m", f"tests.lab.pi.guest.{program}", str(file))

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
    """A virtual Pi with a gateway that was claimed and serves phones."""
    async with (
        radio(folder, air) as line,
        VirtualPi(folder, lines=(line,), debian=debian) as pi,
    ):
        await start_bluetooth(pi)
        shop = Store(pi, air)
        try:
            await shop.start()
            assert (await shop.ask("status"))["bluetooth"]["state"] == "bluetooth-unclaimed"
            await pi.run(*GATEWAY, "claim", *DATA)
            yield shop
        finally:
            print(await pi.read("/run/gateway.log"))
