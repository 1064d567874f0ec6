"""The gateway under test runs in the virtual Pi."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.lab.pi.machine import VirtualPi

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[3]
GATEWAY = ("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "gateway")


def test_the_gateway_boots_in_the_guest_and_keeps_a_document(tmp_path: Path) -> None:
    async def main() -> None:
        async with VirtualPi(tmp_path) as pi:
            data = ("--data", "/var/lib/store")
            await pi.spawn("gateway", *GATEWAY, "run", *data, "--no-pages", "--json")
            await pi.until("/run/gateway.log", '"ready": ?true')
            status = json.loads(await pi.run(*GATEWAY, "status", *data, "--json"))
            assert status["state"] == "ok" and status["store"]["ok"]
            await pi.run(*GATEWAY, "put", "orders/7", '{"station": "grill"}', *data)
            order = json.loads(await pi.run(*GATEWAY, "get", "orders/7", *data))
            assert order == {"station": "grill"}
            await pi.end("gateway")

    asyncio.run(main())


def test_what_is_wrong_with_bluetooth_is_in_the_status_and_named_by_the_doctor(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with VirtualPi(tmp_path) as pi:
            data = ("--data", "/var/lib/store")
            await pi.write("/run/gateway.toml", "[bluetooth]\nenabled = true\n")
            options = (*data, "--no-pages", "--json", "--config", "/run/gateway.toml")
            await pi.spawn("gateway", *GATEWAY, "run", *options)
            await pi.until("/run/gateway.log", '"ready": ?true')
            await pi.run(*GATEWAY, "claim", *data)
            # No radio is attached, so it is said from the first look on.
            await pi.until("/run/gateway.log", "no Bluetooth adapter")
            status = await pi.run(*GATEWAY, "status", *data)
            assert "Everything but Bluetooth works." in status
            assert "  bluetooth  This device has no Bluetooth adapter. Plug in" in status
            doctor = await pi.run(*GATEWAY, "doctor", *data, "--json", check=False)
            assert "bluetooth-no-controller" in doctor
            await pi.end("gateway")

    asyncio.run(main())
