"""A controller as a Pi has it: legacy advertising, packets of today's size, few under way."""

import asyncio
from typing import TYPE_CHECKING, Any

from bumble import hci, ll
from bumble.controller import Connection, Controller

from tests.lab.pi.advertiser import (
    Advertisement,
    Advertiser,
    AdvScanInd,
    ScanReq,
    ScanRsp,
    Set,
)

if TYPE_CHECKING:
    from tests.lab.pi.air import Air

# Data length extension: what a controller of today takes in one packet of air.
ACL_BYTES = 251

# So many packets the host may have under way, for all links together: few, as in a real controller,
# so that a slow link is felt.
ACL_PACKETS = 12

# dBm, of all that is heard.
RSSI = -50

ACTIVE = hci.HCI_LE_Set_Scan_Parameters_Command.ACTIVE_SCANNING
EXTENDED = hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
PERIODIC = hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
Report = hci.HCI_LE_Advertising_Report_Event.Report
EventType = hci.HCI_LE_Advertising_Report_Event.EventType

# What is reported to the host of a scanner.
EVENTS = {
    ll.AdvInd: EventType.ADV_IND,
    AdvScanInd: EventType.ADV_SCAN_IND,
    ll.AdvNonConnInd: EventType.ADV_NONCONN_IND,
    ScanRsp: EventType.SCAN_RSP,
}


class LabController(Controller):
    """A controller that keeps its host waiting for the air.

    ``extended``: one that advertises by sets, as many adapters do, but no chip of a Pi; a set ends
    with a connection.
    """

    le_acl_data_packet_length = ACL_BYTES
    total_num_le_acl_data_packets = ACL_PACKETS

    def __init__(
        self, name: str, air: "Air", address: str, *, extended: bool = False, **ends: Any
    ) -> None:
        super().__init__(name, link=air, public_address=address, **ends)
        self._air = air
        self._advertiser = self.le_legacy_advertiser = Advertiser(self)
        self.le_features = Controller.le_features & ~PERIODIC
        if not extended:
            self.le_features &= ~EXTENDED

    def on_hci_reset_command(
        self, command: hci.HCI_Reset_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Forget all links and advertise no more; bumble's own goes on with both."""
        self._advertiser.stop()
        self._air.forget(self)
        return super().on_hci_reset_command(command)

    def on_hci_acl_data_packet(self, packet: hci.HCI_AclDataPacket) -> None:
        """Take a packet of the host, and report it as sent when the air was free for it."""
        connection = self.find_connection_by_handle(packet.connection_handle)
        if connection is None:
            return
        connection.assembler.feed_packet(packet)
        asyncio.get_running_loop().call_at(self._air.free_at(connection), self._sent, connection)

    def _sent(self, connection: Connection) -> None:
        if self.find_connection_by_handle(connection.handle) is connection:
            self.send_hci_packet(
                hci.HCI_Number_Of_Completed_Packets_Event(
                    connection_handles=[connection.handle], num_completed_packets=[1]
                )
            )

    def on_hci_le_set_extended_advertising_parameters_command(
        self, command: hci.HCI_LE_Set_Extended_Advertising_Parameters_Command
    ) -> hci.HCI_LE_Set_Extended_Advertising_Parameters_ReturnParameters:
        """Make a set of our own, where bumble would make one of its."""
        handle = command.advertising_handle
        if handle not in self.advertising_sets:
            self.advertising_sets[handle] = Set(self, handle)
        return super().on_hci_le_set_extended_advertising_parameters_command(command)

    def on_ll_advertising_pdu(self, packet: ll.AdvertisingPdu) -> None:
        """Hear what another controller sent."""
        if isinstance(packet, ScanReq):
            self._advertiser.answer(packet)
            for advertised in self.advertising_sets.values():
                assert isinstance(advertised, Set)
                advertised.answer(packet)
        elif isinstance(packet, ScanRsp):
            if packet.scanner_address == self._scanner_address:
                self._report(packet)
        elif isinstance(packet, Advertisement):
            self._report(packet)
            self._follow(packet)
        else:
            super().on_ll_advertising_pdu(packet)

    def _report(self, packet: Advertisement | ScanRsp) -> None:
        if self.le_scan_enable:
            address = packet.advertiser_address
            report = Report(EVENTS[type(packet)], address.address_type, address, packet.data, RSSI)
            self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def _follow(self, packet: Advertisement) -> None:
        """Ask for the scan response, or connect to whom the host waits for."""
        address, pending = packet.advertiser_address, self.pending_le_connection
        active = self.le_scan_enable and self.le_scan_type == ACTIVE
        if active and not isinstance(packet, ll.AdvNonConnInd):
            self.send_advertising_pdu(ScanReq(self._scanner_address, address))
        if isinstance(packet, ll.AdvInd) and pending and pending.peer_address == address:
            self.create_le_connection(address)

    @property
    def _scanner_address(self) -> hci.Address:
        public = self.le_scan_own_address_type == hci.OwnAddressType.PUBLIC
        return self.public_address if public else self.random_address
