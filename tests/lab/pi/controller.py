"""A controller as a Pi has it: legacy advertising with scan responses, packets of today's size.

bumble's controller gives every scanner the advertisement a second time as its scan response, and
sends only connectable ones; here a scan response is asked for over the air and answered.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bumble import hci, ll
from bumble.controller import Connection, Controller, LegacyAdvertiser

if TYPE_CHECKING:
    from tests.lab.pi.air import Air

# Data length extension: what a controller of today takes in one packet of air.
ACL_BYTES = 251

# So many packets the host may have under way, for all links together: few, as in a real controller,
# so that a slow link is felt.
ACL_PACKETS = 12

# Core specification 5.4, vol. 4 part E, 7.8.5: the interval is counted in these.
INTERVAL_SECONDS = 0.000625

# dBm, of all that is heard.
RSSI = -50

Kind = hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType
Report = hci.HCI_LE_Advertising_Report_Event.Report
ACTIVE = hci.HCI_LE_Set_Scan_Parameters_Command.ACTIVE_SCANNING
EventType = hci.HCI_LE_Advertising_Report_Event.EventType


@dataclass
class AdvScanInd(ll.AdvertisingPdu):
    """An advertisement that answers scanners and takes no connection; bumble has none."""

    advertiser_address: hci.Address
    data: bytes


@dataclass
class ScanReq(ll.AdvertisingPdu):
    """A scanner asks an advertiser for more."""

    scanner_address: hci.Address
    advertiser_address: hci.Address


@dataclass
class ScanRsp(ll.AdvertisingPdu):
    """The answer, for the scanner that asked."""

    scanner_address: hci.Address
    advertiser_address: hci.Address
    data: bytes


# What is reported to the host of a scanner.
EVENTS = {
    ll.AdvInd: EventType.ADV_IND,
    AdvScanInd: EventType.ADV_SCAN_IND,
    ll.AdvNonConnInd: EventType.ADV_NONCONN_IND,
    ScanRsp: EventType.SCAN_RSP,
}
ADVERTISEMENTS = {
    Kind.ADV_IND: ll.AdvInd,
    Kind.ADV_SCAN_IND: AdvScanInd,
    Kind.ADV_NONCONN_IND: ll.AdvNonConnInd,
}


class Advertiser(LegacyAdvertiser):
    """Undirected advertising of each kind, as often as the host asked for."""

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        self.timer_handle = asyncio.get_running_loop().call_later(
            self.advertising_interval_min * INTERVAL_SECONDS, self._on_timer_fired
        )

    def send_advertising_data(self) -> None:
        """Send one advertisement."""
        kind = ADVERTISEMENTS.get(Kind(self.advertising_type))
        if self.enabled and kind is not None:
            self.controller.send_advertising_pdu(kind(self.address, self.advertising_data))

    def answer(self, request: ScanReq) -> None:
        """Answer a scanner, if it is this one it asks and it may be asked."""
        scannable = self.advertising_type in (Kind.ADV_IND, Kind.ADV_SCAN_IND)
        if self.enabled and scannable and request.advertiser_address == self.address:
            self.controller.send_advertising_pdu(
                ScanRsp(request.scanner_address, self.address, self.scan_response_data)
            )


class LabController(Controller):
    """A controller that takes packets of today's size and keeps its host waiting for the air."""

    le_acl_data_packet_length = ACL_BYTES
    total_num_le_acl_data_packets = ACL_PACKETS

    # The chips of a Pi (CYW43438, CYW43455) have neither.
    le_features = Controller.le_features & ~(
        hci.LeFeatureMask.LE_EXTENDED_ADVERTISING | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    )

    def __init__(self, name: str, air: "Air", address: str, **ends: Any) -> None:
        super().__init__(name, link=air, public_address=address, **ends)
        self._air = air
        self._advertiser = self.le_legacy_advertiser = Advertiser(self)

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

    def on_ll_advertising_pdu(self, packet: ll.AdvertisingPdu) -> None:
        """Hear what another controller sent."""
        if isinstance(packet, ScanReq):
            self._advertiser.answer(packet)
        elif isinstance(packet, ScanRsp):
            if packet.scanner_address == self._scanner_address:
                self._report(packet)
        elif isinstance(packet, ll.AdvInd | ll.AdvNonConnInd | AdvScanInd):
            self._report(packet)
            self._follow(packet)
        else:
            super().on_ll_advertising_pdu(packet)

    def _report(self, packet: ll.AdvInd | ll.AdvNonConnInd | AdvScanInd | ScanRsp) -> None:
        if self.le_scan_enable:
            address = packet.advertiser_address
            report = Report(EVENTS[type(packet)], address.address_type, address, packet.data, RSSI)
            self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def _follow(self, packet: ll.AdvInd | ll.AdvNonConnInd | AdvScanInd) -> None:
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
