"""The admin door's verbs about the store: claim, pair, devices, revoke, token."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.core import messages as m
from gateway.core.certificates import store_id
from gateway.core.claims import ID_BYTES, SERIAL_BYTES, is_short_text
from gateway.core.entrance import Device
from gateway.core.errors import GatewayError, PeerError
from gateway.core.membership import Membership, found
from gateway.core.pairing import MAX_NAME_BYTES, MINUTES, PairingWindow, WindowState
from gateway.core.pairing_code import CHARACTERS, pairing_code
from gateway.core.pairing_uri import MAX_ADDRESSES, Invitation
from gateway.core.primitives import KEY_BYTES, public_of
from gateway.core.recovery import recovery_code, root_key
from gateway.core.revocations import Revocations
from gateway.core.tickets import MAX_GRANTS, MAX_ROLE_BYTES, check_grants
from gateway.runtime.identity import Belonging
from gateway.runtime.members import ROLE, Members

EVERYTHING = [["*", m.RIGHT_READ | m.RIGHT_WRITE]]
MAX_MINUTES = 60
# So much of an id names a device, if no other begins like it.
LEAST_DIGITS = 4
EX_USAGE = 64
EX_UNAVAILABLE = 69

Arguments = Mapping[str, Any]


class MemberVerbs:
    """``addresses()`` says where others reach this gateway, as host:port."""

    def __init__(self, members: Members, addresses: Callable[[], Sequence[str]]) -> None:
        self._members = members
        self._addresses = addresses
        self._windows = 0

    def answer(self, verb: str, arguments: Arguments) -> Mapping[str, Any] | None:
        """The result of a verb, or None if it is not one of these. Raises ``GatewayError``."""
        match verb:
            case "claim":
                return self._claim(arguments)
            case "pair":
                return self._pair(arguments)
            case "pairing":
                return self._pairing(arguments)
            case "pair-close":
                return self._close(arguments)
            case "devices":
                return {"devices": self._devices()}
            case "revoke":
                return self._revoke(arguments)
            case "token":
                return self._token(arguments)
        return None

    def _claim(self, arguments: Arguments) -> Mapping[str, Any]:
        members = self._members
        if members.belonging is not None:
            raise GatewayError("claimed", "this gateway is of a store already", EX_USAGE)
        name = _text(arguments, "name", "store", MAX_NAME_BYTES)
        code = str(arguments.get("recovery_code") or "")
        root = root_key(code) if code else members.draw(KEY_BYTES)
        keys = members.keys = members.keys or members.identity.make_keys()
        certificate = found(root, members.peer, keys, members.draw(SERIAL_BYTES))
        root_public = public_of(root)
        membership = Membership(
            members.peer, keys, root_public, m.AUTH_CERTIFICATE, certificate,
            Revocations(root_public),
        )  # fmt: skip
        members.gain(Belonging(membership, name))
        shown = {} if code else {"recovery_code": recovery_code(root)}
        return {"store": store_id(root_public).hex(), "name": name, **shown}

    def _pair(self, arguments: Arguments) -> Mapping[str, Any]:
        members, membership = self._members, self._gateway()
        role = _text(arguments, "role", ROLE, MAX_ROLE_BYTES)
        grants = _grants(arguments)
        minutes = arguments.get("minutes", MINUTES)
        if not isinstance(minutes, int | float) or not 0 < minutes <= MAX_MINUTES:
            raise _usage(f"a pairing is open for up to {MAX_MINUTES} minutes")
        addresses = tuple(self._addresses()[:MAX_ADDRESSES])
        if not addresses:
            raise GatewayError(
                "not-listening", "nobody can reach this gateway: it does not listen", EX_USAGE
            )
        if members.window is not None:
            members.window.close()
        secret, code = members.draw(KEY_BYTES), pairing_code(members.draw(CHARACTERS))
        until = members.now() + 60 * minutes
        members.window = PairingWindow(secret, code, role, grants, until)
        members.paired = None
        self._windows += 1
        static = membership.keys.noise.public
        uri = Invitation(static, secret, membership.store, addresses).uri()
        return {
            "window": self._windows,
            "code": code,
            "uri": uri,
            "addresses": addresses,
            "seconds": 60 * minutes,
            "role": role,
            "grants": grants,
        }

    def _pairing(self, arguments: Arguments) -> Mapping[str, Any]:
        members = self._members
        window = self._window(arguments)
        state = window.state(members.now())
        answer = {
            "state": state.value,
            "seconds": max(0.0, window.until - members.now()),
            "tries": window.tries,
        }
        if state is WindowState.PAIRED and members.paired is not None:
            answer |= {"name": members.paired.name, "peer": members.paired.peer.hex()}
        return answer

    def _close(self, arguments: Arguments) -> Mapping[str, Any]:
        self._window(arguments).close()
        return self._pairing(arguments)

    def _window(self, arguments: Arguments) -> PairingWindow:
        window = self._members.window
        if window is None or arguments.get("window") != self._windows:
            raise GatewayError("no-pairing", "another pairing was opened since", EX_UNAVAILABLE)
        return window

    def _devices(self) -> list[Mapping[str, Any]]:
        members = self._members
        links = members.links()
        listed = [
            _listed(device.peer, device.name, device.role, device.grants)
            | {"token": not device.credential, "revoked": members.is_shut_out(device)}
            for device in members.devices.values()
        ]
        known = {device["peer"] for device in listed}
        for session in members.sessions():
            member = session.member
            if member is not None and session.identity in links.keys() - known:
                # It was paired by another gateway of the store, or is one.
                name = session.about.get("name", "")
                device = _listed(member.peer, name, member.role, member.grants)
                listed.append(device | {"gateway": member.ticket is None})
                known.add(session.identity)
        return [
            device
            | {
                "linked": device["peer"] in links,
                "link": members.linked.get(device["peer"], ""),
            }
            for device in listed
        ]

    def _revoke(self, arguments: Arguments) -> Mapping[str, Any]:
        members, membership = self._members, self._gateway()
        peer = self._named(str(arguments.get("peer") or "").lower())
        if peer == members.peer:
            raise _usage("this is the gateway itself: revoke it at another gateway of the store")
        entry = membership.revocation(peer)
        membership.revocations.add(entry)
        members.spread([entry])
        return {"peer": peer.hex()}

    def _named(self, text: str) -> bytes:
        known = {device["peer"] for device in self._devices()}
        found = [peer for peer in known if peer.startswith(text)]
        if len(found) == 1 and len(text) >= LEAST_DIGITS:
            return bytes.fromhex(found[0])
        if len(text) == 2 * ID_BYTES and set(text) <= set("0123456789abcdef"):
            # It may be known to another gateway only.
            return bytes.fromhex(text)
        raise _usage("name the device by its id, or how it begins, as store-gateway devices says")

    def _token(self, arguments: Arguments) -> Mapping[str, Any]:
        members, membership = self._members, self._gateway()
        role = _text(arguments, "role", ROLE, MAX_ROLE_BYTES)
        name = _text(arguments, "name", "token", MAX_NAME_BYTES)
        grants = _grants(arguments)
        peer = members.draw(ID_BYTES)
        token = membership.token(peer, role, grants, members.draw(ID_BYTES))
        members.keep(Device(peer, name, role, grants, b"", b"", b"", 0))
        return {"token": token, "peer": peer.hex(), "role": role, "grants": grants}

    def _gateway(self) -> Membership:
        membership = self._members.membership
        if membership is None:
            sentence = "this gateway is of no store yet: the command claim makes one"
            raise GatewayError("not-claimed", sentence, EX_USAGE)
        if not membership.is_gateway:
            raise GatewayError("not-a-gateway", "only a gateway of the store can do that", EX_USAGE)
        return membership


def _listed(peer: bytes, name: str, role: str, grants: m.Grants) -> dict[str, Any]:
    return {
        "peer": peer.hex(),
        "name": name,
        "role": role,
        "grants": grants,
        "gateway": False,
        "token": False,
        "revoked": False,
    }


def _grants(arguments: Arguments) -> m.Grants:
    given = arguments.get("grants") or EVERYTHING
    try:
        if isinstance(given, list) and len(given) <= MAX_GRANTS:
            return check_grants(given)
    except PeerError as error:
        raise _usage(error.reason) from error
    raise _usage(f"grants are a list of up to {MAX_GRANTS} collections and rights")


def _text(arguments: Arguments, key: str, default: str, most_bytes: int) -> str:
    value = arguments.get(key) or default
    if not isinstance(value, str) or not is_short_text(value, most_bytes):
        raise _usage(f"{key} is a text of up to {most_bytes} bytes")
    return value


def _usage(sentence: str) -> GatewayError:
    return GatewayError("usage", sentence, EX_USAGE)
