"""A device's identity as it is kept: keys, membership, revocations, devices, as JSON values."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.core.entrance import Device
from gateway.core.errors import GatewayError, PeerError
from gateway.core.membership import Keys, Membership
from gateway.core.primitives import KEY_BYTES
from gateway.core.revocations import Revocations
from gateway.ports import IdentityStore

KEYS, MEMBERSHIP, REVOCATIONS, DEVICES = "keys", "membership", "revocations", "devices"
EX_DATA = 65

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Belonging:
    """A membership, what people call its store, and the hash of the secret it began with."""

    membership: Membership
    name: str = ""
    began_with: str = ""


class Identity:
    """Reads and writes an ``IdentityStore``; raises its ``GatewayError``."""

    def __init__(self, files: IdentityStore, draw: Callable[[int], bytes]) -> None:
        self._files = files
        self._draw = draw

    def keys(self) -> Keys | None:
        """This device's key pairs, if it has some."""
        return self._read(KEYS, lambda value: Keys(_octets(value["noise"]), _octets(value["sign"])))

    def make_keys(self) -> Keys:
        """New key pairs, kept from now on."""
        noise, signing = self._draw(KEY_BYTES), self._draw(KEY_BYTES)
        self._files.write(KEYS, {"noise": noise.hex(), "sign": signing.hex()})
        return Keys(noise, signing)

    def belonging(self, peer: bytes, keys: Keys | None) -> Belonging | None:
        """What this device is in its store, if it is of one."""

        def belonging(value: Any) -> Belonging:
            if keys is None:
                # It must not be open to everybody again.
                raise ValueError("the keys are gone")
            root = _octets(value["root"])
            heard = self._read(REVOCATIONS, lambda entries: _revocations(root, entries))
            membership = Membership(
                peer, keys, root, value["method"], _octets(value["credential"]),
                heard or Revocations(root),
            )  # fmt: skip
            return Belonging(membership, str(value["name"]), str(value["began_with"]))

        return self._read(MEMBERSHIP, belonging)

    def keep_belonging(self, belonging: Belonging) -> None:
        """Keep what this device is, and what it heard was revoked."""
        membership = belonging.membership
        method, credential = membership.shown
        self.keep_revocations(membership.revocations)
        value = {
            "root": membership.root_public.hex(),
            "method": method,
            "credential": credential.hex(),
            "name": belonging.name,
            "began_with": belonging.began_with,
        }
        self._files.write(MEMBERSHIP, value)

    def keep_revocations(self, revocations: Revocations) -> None:
        """Keep what was revoked, as far as it is known."""
        self._files.write(REVOCATIONS, [entry.hex() for entry in revocations.entries()])

    def devices(self) -> list[Device]:
        """The devices that were paired here."""
        return self._read(DEVICES, lambda values: [_device(value) for value in values]) or []

    def keep_devices(self, devices: Iterable[Device]) -> None:
        """Keep the devices that were paired here."""
        self._files.write(DEVICES, [_plain(device) for device in devices])

    def _read(self, name: str, build: Callable[[Any], Value]) -> Value | None:
        value = self._files.read(name)
        if value is None:
            return None
        try:
            return build(value)
        except (ValueError, KeyError, TypeError, PeerError) as error:
            sentence = f"{name}.json in the folder identity is damaged, or another device's"
            raise GatewayError("identity-damaged", sentence, EX_DATA) from error


def _revocations(root: bytes, entries: list[str]) -> Revocations:
    revocations = Revocations(root)
    for entry in entries:
        revocations.add(_octets(entry))
    return revocations


def _device(value: Any) -> Device:
    grants = tuple((str(pattern), int(rights)) for pattern, rights in value["grants"])
    octets = {key: _octets(value[key]) for key in ("peer", "noise", "sign", "credential")}
    return Device(
        octets["peer"], str(value["name"]), str(value["role"]), grants,
        octets["noise"], octets["sign"], octets["credential"], int(value["epoch"]),
    )  # fmt: skip


def _plain(device: Device) -> dict[str, Any]:
    return {
        "peer": device.peer.hex(),
        "name": device.name,
        "role": device.role,
        "grants": device.grants,
        "noise": device.noise_key.hex(),
        "sign": device.signing_key.hex(),
        "credential": device.credential.hex(),
        "epoch": device.epoch,
    }


def _octets(text: str) -> bytes:
    return bytes.fromhex(text)
