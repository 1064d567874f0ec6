"""Advertising as controllers do it: each legacy kind of advertisement, with scan responses.

bumble's controller gives every scanner the advertisement a second time as its scan response, and
sends only connectable ones; here a scan response is asked for over the air and answered.
"""

import asyncio
from dataclasses import dataclass

from bumble import hci, ll
from bumble.controller import AdvertisingSet, LegacyAdvertiser

# Core specification 5.4, vol. 4 part E, 7.8.5: the interval is counted in these.
INTERVAL_SECONDS = 0.000625

Kind = hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType

# The same part, 7.8.53: properties of a set that say connectable, scannable.
CONNECTABLE = 1 << 0
SCANNABLE = 1 << 1


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


Advertisement = ll.AdvInd | AdvScanInd | ll.AdvNonConnInd
KINDS: dict[int, type[Advertisement]] = {
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
        kind = KINDS.get(self.advertising_type)
        if self.enabled and kind is not None:
            self.controller.send_advertising_pdu(kind(self.address, self.advertising_data))

    def answer(self, request: ScanReq) -> None:
        """Answer a scanner, if it is this one it asks and it may be asked."""
        if self.enabled and self.advertising_type in (Kind.ADV_IND, Kind.ADV_SCAN_IND):
            answer(self, request, self.scan_response_data)


class Set(AdvertisingSet):
    """A set of a controller with extended advertising, used for the legacy kinds."""

    def send_extended_advertising_data(self) -> None:
        """Send one advertisement."""
        kind: type[Advertisement] = AdvScanInd if self._has(SCANNABLE) else ll.AdvNonConnInd
        if self._has(CONNECTABLE):
            kind = ll.AdvInd
        assert self.address is not None
        self.controller.send_advertising_pdu(kind(self.address, bytes(self.data)))

    def answer(self, request: ScanReq) -> None:
        """Answer a scanner, if it is this one it asks and it may be asked."""
        if self.enabled and self._has(SCANNABLE):
            answer(self, request, bytes(self.scan_response_data))

    def _has(self, wanted: int) -> bool:
        assert self.parameters is not None
        return bool(self.parameters.advertising_event_properties & wanted)


def answer(advertiser: Advertiser | Set, request: ScanReq, data: bytes) -> None:
    """Send a scan response to who asked for this one's."""
    if request.advertiser_address == advertiser.address:
        response = ScanRsp(request.scanner_address, request.advertiser_address, data)
        advertiser.controller.send_advertising_pdu(response)
