"""The air between the virtual Pi and its phones: bumble's local link with a radio's faults.

It loses, delays, repeats and slows whole L2CAP packets and advertisements. A real link layer sends
a lost packet again, so loss of data is worse here than any radio; what a radio does in the end,
losing the link, is ``cut``.
"""

import asyncio

from bumble import hci, ll
from bumble.controller import Connection, Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink

from tests.lab.pi.radio import Conditions, Way

# Core specification 5.4, vol. 1, part F: supervision time-out; connection failed to be established.
TIMED_OUT = hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
NOT_ESTABLISHED = hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR


class Air(LocalLink):
    """All controllers of one test. ``seed`` makes its faults repeatable."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._seed = seed
        self._conditions: dict[str, Conditions] = {}
        self._away: set[str] = set()
        self._ways: dict[str, Way] = {}
        self._free: dict[int, float] = {}

    def weather(self, name: str, conditions: Conditions) -> None:
        """From now on this happens to what the end called ``name`` sends and receives."""
        self._conditions[name] = conditions

    def cut(self, name: str) -> None:
        """Carry the end called ``name`` out of reach: its links time out, it hears nothing."""
        self._away.add(name)
        for controller in self.controllers:
            for connection in list(controller.le_connections.values()):
                other = self.find_le_controller(connection.peer_address)
                if controller.name == name or (other is not None and other.name == name):
                    controller.on_le_disconnected(connection, TIMED_OUT)

    def forget(self, controller: Controller) -> None:
        """A controller knows none of its links any more: their other ends time out."""
        for connection in list(controller.le_connections.values()):
            other = self.find_le_controller(connection.peer_address)
            theirs = other.le_connections.get(connection.self_address) if other else None
            if other is not None and theirs is not None:
                other.on_le_disconnected(theirs, TIMED_OUT)
        controller.le_connections.clear()

    def mend(self, name: str) -> None:
        """Bring it back."""
        self._away.discard(name)

    def free_at(self, connection: Connection) -> float:
        """When all that was sent over a connection so far has left."""
        return self._free.get(id(connection), 0.0)

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        """Plan one L2CAP packet; what outlives its connection is dropped."""
        receiver = self.find_le_controller(destination_address)
        connection = sender_controller.le_connections.get(destination_address)
        if receiver is None or connection is None:
            return
        # bumble sends from the random address, also what a controller with a public one says.
        source = connection.self_address
        target = receiver.le_connections.get(source)
        loop = asyncio.get_running_loop()
        conditions = self._between(sender_controller, receiver)
        plan = self._way(sender_controller, receiver).send(len(data), loop.time(), conditions)
        self._free[id(connection)] = plan.left

        def arrive() -> None:
            if target is not None and receiver.le_connections.get(source) is target:
                receiver.on_link_acl_data(source, transport, data)

        for time in plan.arrivals:
            loop.call_at(time, arrive)

    def send_advertising_pdu(
        self, sender_controller: Controller, packet: ll.AdvertisingPdu
    ) -> None:
        """Let all who are in reach hear it; a connection nobody answered ends as it does in air."""
        loop = asyncio.get_running_loop()
        for receiver in self.controllers:
            if receiver is not sender_controller and self._heard(sender_controller, receiver):
                loop.call_soon(receiver.on_ll_advertising_pdu, packet)
        if isinstance(packet, ll.ConnectInd):
            loop.call_soon(self._answered, sender_controller, packet)

    def _answered(self, caller: Controller, packet: ll.ConnectInd) -> None:
        peer = self.find_le_controller(packet.advertiser_address)
        connection = caller.le_connections.get(packet.advertiser_address)
        accepted = peer is not None and packet.initiator_address in peer.le_connections
        if connection is not None and not accepted:
            caller.on_le_disconnected(connection, NOT_ESTABLISHED)
        elif peer is not None:
            for way in (self._way(caller, peer), self._way(peer, caller)):
                way.restart()

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        """Pass on what controllers say to each other, unless one is out of reach or gone."""
        receiver = self.find_le_controller(receiver_address)
        if receiver is not None and sender_address in receiver.le_connections:
            asyncio.get_running_loop().call_soon(receiver.on_ll_control_pdu, sender_address, packet)

    def _heard(self, sender: Controller, receiver: Controller) -> bool:
        if self._away & {sender.name, receiver.name}:
            return False
        conditions = self._between(sender, receiver).of_broadcast()
        return bool(self._way(sender, receiver, "broadcast ").send(0, 0.0, conditions).arrivals)

    def _between(self, sender: Controller, receiver: Controller) -> Conditions:
        for name in (sender.name, receiver.name):
            if name in self._conditions:
                return self._conditions[name]
        return Conditions()

    def _way(self, sender: Controller, receiver: Controller, kind: str = "") -> Way:
        name = f"{kind}{sender.name}>{receiver.name}"
        return self._ways.setdefault(name, Way(name, self._seed))
