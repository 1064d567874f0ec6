"""A gateway whose radio is a Unix socket: each connection there is a phone.

Run as ``python -m tests.support.radio_gateway run --bluetooth ...`` with the socket's path in
``RADIO_SOCKET``. A phone says one JSON line each, and is answered in order:

    {"verb": "read"}   {"verb": "write", "value": "..."}

and is told {"notified": "...", "value": "..."} meanwhile. Values are in hexadecimal digits.
"""

import asyncio
import json
import os
import sys
from asyncio import StreamReader, StreamWriter
from itertools import count
from typing import Any

import gateway.bluetooth
from gateway.__main__ import main
from gateway.core.beacon import Beacon
from gateway.core.opening import TX
from gateway.core.radio import Controller, Facts, Repair
from gateway.ports import Phones

RADIO_SOCKET = "RADIO_SOCKET"
MTU = 247


class SocketRadio:
    """Satisfies ``Radio``."""

    def __init__(self, adapter: str) -> None:
        self.adapter = ""
        self._phones: Phones | None = None
        self._writers: dict[str, StreamWriter] = {}
        self._names = (f"phone{number}" for number in count(1))

    def use(self, adapter: str) -> None:
        """See ``Radio``."""

    async def serve(self, phones: Phones) -> None:
        """See ``Radio``."""
        self._phones = phones
        server = await asyncio.start_unix_server(self._phone, os.environ[RADIO_SOCKET])
        self.adapter = "hci0"
        async with server:
            await server.serve_forever()

    async def advertise(self, beacon: Beacon | None) -> None:
        """See ``Radio``."""

    def notify(self, phone: str, place: int, value: bytes) -> bool:
        """See ``Radio``."""
        self._say(phone, notified=TX[place - 1], value=value.hex())
        return True

    def disconnect(self, phone: str) -> None:
        """See ``Radio``."""
        if phone in self._writers:
            self._writers[phone].close()

    async def _phone(self, reader: StreamReader, writer: StreamWriter) -> None:
        assert self._phones is not None
        name = next(self._names)
        self._writers[name] = writer
        self._phones.connected(name)
        try:
            async for line in reader:
                self._heard(name, json.loads(line))
        finally:
            del self._writers[name]
            self._phones.disconnected(name)
            writer.close()

    def _heard(self, name: str, said: dict[str, Any]) -> None:
        assert self._phones is not None
        value = ""
        if said["verb"] == "read":
            value = self._phones.info(name, 0).hex()
        else:
            self._phones.written(name, bytes.fromhex(said["value"]), MTU)
        self._say(name, value=value)

    def _say(self, name: str, **line: str) -> None:
        if name in self._writers:
            self._writers[name].write(json.dumps(line).encode() + b"\n")


class Healthy:
    """Satisfies ``RadioTools``."""

    async def facts(self) -> Facts:
        """See ``RadioTools``."""
        return Facts((Controller("hci0"),))

    async def repair(self, repair: Repair, adapter: str) -> str:
        """See ``RadioTools``."""
        return "there is nothing to repair"


if __name__ == "__main__":
    for name, stand_in in (("Ble", SocketRadio), ("LinuxRadioTools", Healthy)):
        setattr(gateway.bluetooth, name, stand_in)
    sys.exit(main())
