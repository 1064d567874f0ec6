"""The connection to an MQTT broker: files, name, TCP and TLS, and whole packets of bounded size.

A ``Pipe`` is what paho takes for its socket (``adapters/mqtt.py``).
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from gateway.core.errors import GatewayError

EX_UNAVAILABLE = 69
# A packet, either way; as much as a link message of the mesh.
PACKET_BYTES: Final = 262_144
# Beyond so many octets of a packet's length it is none (MQTT 5.0 section 1.5.5).
LENGTH_BYTES: Final = 4
# MQTT 5.0 section 1.5.6.
PASSWORD_BYTES: Final = 65_535
# One address, its TLS too.
CONNECT_SECONDS: Final = 5.0

# Packets that are handed over before others have their turn: a flood does not hold up the loop.
PACKETS_AT_ONCE: Final = 16
# After so long too; then others have as long as these took.
TURN_SECONDS: Final = 0.002
# Properties of a message, and any other packet: paho needs the square of their number, 3 ms for as
# many as fit here and 40 ms for those in four times as much.
PROPERTY_BYTES: Final = 2_048
OTHER_BYTES: Final = 2_048

_PUBLISH: Final = 3
# What a broker may send to one that asks for QoS 1 at most: CONNACK, PUBLISH, PUBACK, SUBACK,
# UNSUBACK, PINGRESP, DISCONNECT (MQTT 5.0 section 2.1.2). paho would answer others, without end.
_KINDS: Final = frozenset({2, _PUBLISH, 4, 9, 11, 13, 14})


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the broker is and what it is shown; empty: none. See ``config.Mqtt``.

    ``more``: name and port of other nodes of its cluster. ``window``: publications without an
    answer, at once, and messages of the broker that wait to be ``done``; ``window_bytes``: of the
    publications, if they are more than one. ``max_waiting`` and ``max_waiting_bytes``: messages
    that are held. The broker is asked to send few, but Mosquitto 2.0.11 sends all it has after the
    first acknowledgement; what is more is dropped.
    """

    host: str
    port: int
    tls: bool
    client_id: str
    ca: str = ""
    certificate: str = ""
    key: str = ""
    user: str = ""
    password_file: str = ""
    window: int = 16
    window_bytes: int = 65_536
    max_waiting: int = 1_000
    max_waiting_bytes: int = 4_194_304
    more: tuple[tuple[str, int], ...] = ()


def broker_error(code: str, detail: str = "") -> GatewayError:
    """An error with a code of ``core.bridge.CAUSES``; its sentence only says what was met."""
    return GatewayError(code, detail, EX_UNAVAILABLE)


def read_files(settings: Settings) -> tuple[ssl.SSLContext | None, str]:
    """What is read anew for each connection, so that a new certificate or password counts."""
    path = settings.password_file
    try:
        password = Path(path).read_text(encoding="utf-8-sig").rstrip("\r\n") if path else ""
        if len(password.encode()) > PASSWORD_BYTES:
            raise ValueError
        if not settings.tls:
            return None, password
        path = settings.ca or "the certificates of this system"
        context = ssl.create_default_context(cafile=settings.ca or None)
        if settings.certificate:
            path = settings.certificate
            context.load_cert_chain(settings.certificate, settings.key or None, "")
    except (OSError, ValueError) as error:
        shown = "it is not in its form"
        # An SSLError, which is an OSError, may say what is in the file.
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
            shown = error.strerror or shown
        # Who took the file for the password itself does not want to read it everywhere.
        path = "mqtt.password_file" if path == settings.password_file else path
        raise broker_error("broker-settings", f"{path}: {shown}") from error
    return context, password


async def open_pipe(
    pipe: "Pipe",
    settings: Settings,
    context: ssl.SSLContext | None,
    family: int,
    address: tuple[Any, ...],
) -> None:
    """Connect to an address of ``settings.host``. Raises ``GatewayError``."""
    reached = socket.socket(family, socket.SOCK_STREAM)
    try:
        reached.setblocking(False)
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(reached, address)
    except (OSError, TimeoutError) as error:
        reached.close()
        raise _met(error) from error
    await _speak(pipe, settings, context, reached)


async def _speak(
    pipe: "Pipe", settings: Settings, context: ssl.SSLContext | None, reached: socket.socket
) -> None:
    """Begin with TLS, if there is to be any, on a connection."""
    host = settings.host if context else None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().create_connection(
                lambda: pipe, sock=reached, ssl=context, server_hostname=host
            )
    except ssl.SSLError as error:
        raise _met(error) from error
    except TimeoutError as error:
        raise broker_error("broker-silent", "it does not answer TLS") from error
    except OSError as error:
        raise broker_error("broker-no-mqtt", "it does not speak TLS") from error
    finally:
        if pipe.is_closed:
            reached.close()


def _met(error: BaseException | None) -> GatewayError:
    """What a failure of the connection means."""
    match error:
        case ssl.SSLCertVerificationError():
            return broker_error("broker-certificate", error.verify_message)
        case ssl.SSLError() if "ALERT" in (error.reason or ""):
            # The broker's word on what it was shown.
            return broker_error("broker-own-certificate", error.reason.replace("_", " ").lower())
        case ssl.SSLError():
            return broker_error("broker-no-mqtt", "it does not speak TLS")
        case TimeoutError():
            return broker_error("broker-unreachable", "no answer in time")
        case OSError():
            return broker_error("broker-unreachable", os.strerror(error.errno or 0))
    return broker_error("broker-lost")


class Pipe(asyncio.Protocol):
    """The connection, and what paho takes for a socket. ``is_5``: of MQTT 5."""

    def __init__(
        self,
        on_packet: Callable[[], None],
        on_room: Callable[[], None],
        on_lost: Callable[[GatewayError], None],
        *,
        is_5: bool = True,
    ) -> None:
        self._is_5 = is_5
        self._on_packet = on_packet
        self._on_room = on_room
        self._on_lost = on_lost
        self._arrived = bytearray()
        self._packet = memoryview(b"")
        self._transport: asyncio.Transport | None = None
        self.full = False
        # Reading waits for packets that have come, or for room for their answers.
        self._is_paused = False
        self._turn: asyncio.Handle | None = None
        self.closed = asyncio.Event()
        # How often something came.
        self.heard = 0

    @property
    def is_closed(self) -> bool:
        """Whether there is no connection, or none yet."""
        return self._transport is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        # uvloop's is one, but does not say so.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self.heard += 1
        self._arrived += data
        if self._turn is None:
            self._take()

    def _take(self) -> None:
        """Hand over some of the packets that have come; the others later."""
        self._turn = None
        loop = asyncio.get_running_loop()
        began, took, count = loop.time(), 0.0, 0
        while count < PACKETS_AT_ONCE and took < TURN_SECONDS:
            if self.full or not self._take_one():
                break
            took, count = loop.time() - began, count + 1
        else:
            is_long = took >= TURN_SECONDS
            self._turn = (
                loop.call_later(took, self._take) if is_long else loop.call_soon(self._take)
            )
        self._pause(self.full or self._turn is not None)

    def _take_one(self) -> bool:
        size = _packet_bytes(self._arrived)
        if self._transport is None or not size:
            return False
        if size > PACKET_BYTES or not _is_taken(self._arrived, size, is_5=self._is_5):
            self._on_lost(broker_error("broker-protocol", "a packet that is not taken"))
            return False
        if len(self._arrived) < size:
            return False
        self._packet = memoryview(bytes(self._arrived[:size]))
        del self._arrived[:size]
        self._on_packet()
        return True

    def _pause(self, is_paused: bool) -> None:
        if self._transport is None or is_paused == self._is_paused:
            return
        self._is_paused = is_paused
        if is_paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = None
        self.closed.set()
        met = _met(exc)
        # What breaks now was there before.
        self._on_lost(broker_error("broker-lost") if met.code == "broker-unreachable" else met)

    def pause_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self.full = True

    def resume_writing(self) -> None:
        """See ``asyncio.Protocol``."""
        self.full = False
        self._on_room()
        if self._turn is None:
            # Not now: it may be paho that is writing.
            self._turn = asyncio.get_running_loop().call_soon(self._take)

    def local(self) -> str:
        """The address of this device."""
        name = self._transport.get_extra_info("sockname") if self._transport else None
        return str(name[0]) if name else ""

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def recv(self, size: int) -> bytes:
        """As of a socket that does not block."""
        if not self._packet:
            raise BlockingIOError
        taken, self._packet = self._packet[:size], self._packet[size:]
        return bytes(taken)

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """As of a socket that does not block."""
        if self._transport is None:
            raise ConnectionResetError
        if self.full:
            raise BlockingIOError
        self._transport.write(bytes(data))
        return len(data)

    def close(self) -> None:
        """As of a socket: what was sent goes out."""
        if self._transport is not None:
            self._transport.close()

    def setblocking(self, flag: bool) -> None:
        """As of a socket; it never blocks."""

    def fileno(self) -> int:
        """As of a socket; nobody waits for it."""
        return -1


def _packet_bytes(data: bytearray) -> int:
    """How long the first packet is; 0 while that is not known (MQTT 5.0 section 2.1)."""
    length = 0
    for index, octet in enumerate(data[1 : 1 + LENGTH_BYTES]):
        length |= (octet & 0x7F) << 7 * index
        if not octet & 0x80:
            return 2 + index + length
    return PACKET_BYTES + 1 if len(data) > LENGTH_BYTES else 0


def _is_taken(data: bytearray, size: int, *, is_5: bool) -> bool:
    """Whether the first packet, as far as it has come, may be handed to paho.

    Not a message at QoS 2, which was not asked for and would be held.
    """
    kind, quality = data[0] >> 4, data[0] >> 1 & 3
    if kind != _PUBLISH:
        return kind in _KINDS and size <= OTHER_BYTES
    return quality < 2 and (len(data) < size or not is_5 or _property_bytes(data) <= PROPERTY_BYTES)


def _property_bytes(data: bytearray) -> int:
    """How long a message says that its properties are (MQTT 5.0 section 3.3.2)."""
    head = 2 + next(index for index, octet in enumerate(data[1:]) if not octet & 0x80)
    topic = int.from_bytes(data[head : head + 2])
    start = head + 2 + topic + (2 if data[0] >> 1 & 3 else 0)
    length = 0
    for index, octet in enumerate(data[start : start + LENGTH_BYTES]):
        length |= (octet & 0x7F) << 7 * index
        if not octet & 0x80:
            break
    return length
