"""Wi-Fi of the virtual Pi: the kernel's simulated radios, with hostapd and wpa_supplicant on them.

The first radio is the Pi's. Each other one can be a phone's, in a network namespace of its own, so
that all it says goes over the air.
"""

import re
from dataclasses import dataclass
from itertools import count

from tests.lab.pi.machine import COMMAND_SECONDS, CommandFailed, VirtualPi

# For VirtualPi(packages=...).
PACKAGES = ("dnsmasq-base", "hostapd", "iproute2", "iw", "udhcpc", "wpasupplicant")

# Where the access point is. A station looks there only: all channels take four seconds.
CHANNEL = 6
FREQUENCY = 2437

# The Pi on its own network, as NetworkManager's shared connections have it.
ADDRESS = "10.42.0.1"
NETMASK_BITS = 24
LEASES = "10.42.0.10,10.42.0.99,1h"

# Half a second for the right password, five for a wrong one.
JOIN_SECONDS = 20.0

ACCESS_POINT = """\
interface=wlan0
ssid={ssid}
hw_mode=g
channel={channel}
wpa=2
rsn_pairwise=CCMP
wpa_key_mgmt={key}
ieee80211w={protected}
wpa_passphrase={password}
"""

STATION = """\
network={{
  ssid="{ssid}"
  psk="{password}"
  key_mgmt={key}
  ieee80211w={protected}
  scan_freq={frequency}
}}
"""


def more_radios(number: int) -> str:
    """For VirtualPi(environment=...), when two radios are too few."""
    return f"mac80211_hwsim.radios={number}"


class NotJoined(AssertionError):
    """A station was not let into a network."""


@dataclass(frozen=True)
class Network:
    """What both ends know: WPA2 by pre-shared key, or WPA3 by SAE with protected management."""

    ssid: str
    password: str
    wpa3: bool = False

    def fill(self, template: str) -> str:
        """A settings file of hostapd or wpa_supplicant for it."""
        return template.format(
            ssid=self.ssid, password=self.password, channel=CHANNEL, frequency=FREQUENCY,
            key="SAE" if self.wpa3 else "WPA-PSK", protected=2 if self.wpa3 else 0,
        )  # fmt: skip


class Station:
    """A phone's end. Made by ``Wifi.station``."""

    def __init__(self, pi: VirtualPi, name: str, device: str) -> None:
        self._pi = pi
        self._namespace = name
        self._supplicant = f"{name}-wifi"
        self._device = device

    async def run(
        self, *argv: str, given: str = "", seconds: float = COMMAND_SECONDS, check: bool = True
    ) -> str:
        """Like ``VirtualPi.run``, with the phone's network."""
        return await self._pi.run(*self._inside, *argv, given=given, seconds=seconds, check=check)

    async def spawn(self, name: str, *argv: str) -> None:
        """Like ``VirtualPi.spawn``, with the phone's network."""
        await self._pi.spawn(name, *self._inside, *argv)

    async def join(self, network: Network) -> None:
        """Join a network; raises NotJoined when it is not there or the password is wrong."""
        settings = f"/run/{self._supplicant}.conf"
        await self._pi.write(settings, network.fill(STATION))
        await self.spawn(self._supplicant, "wpa_supplicant", "-i", self._device, "-c", settings)
        log = f"/run/{self._supplicant}.log"
        try:
            said = await self._pi.until(log, "EVENT-CONNECTED|reason=WRONG_KEY", JOIN_SECONDS)
        except AssertionError as error:
            raise NotJoined(str(error)) from None
        if "EVENT-CONNECTED" not in said:
            raise NotJoined(said)

    async def leave(self) -> None:
        """Leave the network it joined, or stop trying."""
        await self._pi.end(self._supplicant)

    async def lease(self) -> str:
        """Get an address by DHCP, and say which."""
        try:
            await self.run("udhcpc", "-f", "-q", "-n", "-i", self._device)
        except CommandFailed as error:
            raise NotJoined(str(error)) from None
        shown = await self.run("ip", "-4", "-o", "address", "show", "dev", self._device)
        found = re.search(r"inet ([0-9.]+)/", shown)
        assert found is not None, shown
        return found[1]

    @property
    def _inside(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self._namespace)


class Wifi:
    """The radios of one boot."""

    def __init__(self, pi: VirtualPi) -> None:
        self._pi = pi
        # Number 0 is the Pi's own.
        self._free = count(1)

    async def station(self, name: str) -> Station:
        """Give the next radio to a phone of that name."""
        number = next(self._free)
        await self._pi.run("ip", "netns", "add", name)
        await self._pi.run("iw", "phy", f"phy{number}", "set", "netns", "name", name)
        station = Station(self._pi, name, f"wlan{number}")
        await station.run("ip", "link", "set", "lo", "up")
        return station

    async def access_point(self, network: Network) -> None:
        """Make the Pi an access point that gives out addresses; its own is ADDRESS."""
        await self._pi.write("/run/hostapd.conf", network.fill(ACCESS_POINT))
        await self._pi.spawn("hostapd", "hostapd", "/run/hostapd.conf")
        await self._pi.until("/run/hostapd.log", "AP-ENABLED")
        await self._pi.run("ip", "address", "add", f"{ADDRESS}/{NETMASK_BITS}", "dev", "wlan0")
        # Its check by ping whether an address is free takes three seconds.
        await self._pi.spawn(
            "dnsmasq", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root",
            "--log-facility=-", "--interface=wlan0", "--bind-interfaces", "--port=0", "--no-ping",
            f"--dhcp-range={LEASES}", "--dhcp-leasefile=/run/dnsmasq.leases",
        )  # fmt: skip
        await self._pi.until("/run/dnsmasq.log", "IP range")
