"""An evil twin: another device that advertises what the gateway did, and is of another store."""

import asyncio
from types import TracebackType
from typing import Self

from bumble.core import UUID
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

from gateway.core import messages as m
from gateway.core.entrance import Accepting
from gateway.core.errors import PeerError
from gateway.core.events import Event
from gateway.core.membership import Admitted
from gateway.core.mesh_session import MeshSession
from gateway.core.opening import INFO, RX, SERVICE, TX, Answer, Info, read_opener
from gateway.core.primitives import KeyPair
from gateway.core.segments import Segments
from tests.core import stores
from tests.lab.pi.air import Air
from tests.lab.pi.controller import LabController
from tests.lab.pi.phone import Found

SEGMENT_BYTES = 200
INTERVAL_MS = 100.0


class LettingIn(Accepting):
    """Lets everybody in and shows nothing, instead of looking at the ticket of another store."""

    def admit(self, auth: m.Auth, peer: bytes) -> tuple[Admitted, list[m.Record]]:
        """See ``Accepting``."""
        us = self.membership
        return us.admit(*us.shown, us.keys.noise.public, us.peer), []


class Twin:
    """``async with Twin(air, 90, found)``: ``found`` is what is repeated.

    ``heard``: what phones said to it as if it were their gateway.
    """

    def __init__(self, air: Air, number: int, found: Found) -> None:
        self.address = Address(f"F0:F1:F2:F3:F4:{number:02}")
        self.heard: list[Event] = []
        self._found = found
        self._device = stores.gateway(number, root=bytes([number]) * 32)
        self._air = air
        self._controller = LabController(f"twin{number}", air, f"00:00:00:AA:AA:{number:02}")
        self._bumble = Device(
            name="twin",
            address=self.address,
            host=Host(self._controller, AsyncPipeSink(self._controller)),
        )
        self._tx = Characteristic[bytes](
            UUID(TX[0]), Characteristic.Properties.NOTIFY, Characteristic.READABLE, b""
        )
        self._bumble.add_service(Service(UUID(SERVICE), [*self._readable(), self._tx]))
        self._segments: Segments | None = None
        self._session = self._letting_in()
        self._tasks: set[asyncio.Future[None]] = set()

    def _letting_in(self) -> MeshSession:
        ephemeral = KeyPair(stores.fresh("twin"))
        accepting = LettingIn(self._device.of, ephemeral, bytes(16), None, {}, lambda: 0.0)
        return self._device.session(accepting)

    def _readable(self) -> list[Characteristic[bytes]]:
        info = Info(self._device.peer, 0, 8, 1).encoded()
        kinds = Characteristic.Properties
        writes = kinds.WRITE | kinds.WRITE_WITHOUT_RESPONSE
        return [
            Characteristic(UUID(INFO), kinds.READ, Characteristic.READABLE, info),
            Characteristic(
                UUID(RX), writes, Characteristic.WRITEABLE, CharacteristicValue(write=self._written)
            ),
        ]  # fmt: skip

    async def __aenter__(self) -> Self:
        await self._bumble.power_on()
        await self._bumble.start_advertising(
            auto_restart=True,
            advertising_data=bytes(self._found.data),
            scan_response_data=bytes(self._found.scan_response),
            advertising_interval_min=INTERVAL_MS,
            advertising_interval_max=INTERVAL_MS,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._bumble.power_off()
        self._air.remove_controller(self._controller)

    def _written(self, connection: Connection, value: bytes) -> None:
        opener = read_opener(value)
        if opener is not None:
            self._segments = Segments(SEGMENT_BYTES)
            self._session = self._letting_in()
            self._notify(connection, Answer(opener.nonce, SEGMENT_BYTES).encoded())
        elif self._segments is not None:
            self._take(connection, self._segments, value)

    def _take(self, connection: Connection, segments: Segments, value: bytes) -> None:
        try:
            message = segments.receive(value, 0.0)
        except PeerError:
            return
        if message is not None:
            self.heard += self._session.receive(message)
            for answer in stores.sent(self._session):
                segments.send(answer)
        while (segment := segments.next_segment(0.0)) is not None:
            self._notify(connection, segment)

    def _notify(self, connection: Connection, value: bytes) -> None:
        task = asyncio.ensure_future(self._bumble.notify_subscriber(connection, self._tx, value))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
