"""The system bus, and BlueZ on it, by dbus-next: the one module that knows this library.

Its private parts are used where it leaves sockets open and failures unseen; it is pinned and has
had no release since 2021. D-Bus specification: "Message Bus Specification", "Standard Interfaces".
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import BusType, MessageFlag, MessageType
from dbus_next.errors import DBusError
from dbus_next.message import Message
from dbus_next.service import method
from dbus_next.signature import Variant

BLUEZ = "org.bluez"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECTS = "org.freedesktop.DBus.ObjectManager"
DAEMON = "org.freedesktop.DBus"
DAEMON_PATH = "/org/freedesktop/DBus"

# BlueZ answers in milliseconds; switching a controller on takes up to some seconds.
CALL_SECONDS = 15.0
# The name of our own error for that; D-Bus has one for a peer that is gone, too.
NO_ANSWER = "no-answer"

Function = TypeVar("Function", bound=Callable[..., Any])
# What is called with path, interface, member and arguments of each signal of BlueZ.
Heard = Callable[[str, str, str, list[Any]], None]
# Answers a call of BlueZ to an object of ours: signature and values.
Answer = Callable[[str], tuple[str, list[Any]]]


class BusError(Exception):
    """A call failed. ``name``: the error's D-Bus name; "" when the bus was lost meanwhile."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(f"{name}: {text}" if text else name)
        self.name = name


def called(returns: str = "", **arguments: str) -> Callable[[Function], Function]:
    """Let BlueZ call this method; D-Bus types of what it returns and of its arguments.

    The library reads them where Python has annotations.
    """

    def decorate(function: Function) -> Function:
        function.__annotations__ = {**arguments, **({"return": returns} if returns else {})}
        decorated: Function = method()(function)
        return decorated

    return decorate


def refusal(name: str, text: str) -> Exception:
    """What a called method raises so that BlueZ is answered with an error."""
    error: Exception = DBusError(name, text)  # type: ignore[no-untyped-call]
    return error


class Bus:
    """A connection to the system bus that ends as a whole: with it all that was offered."""

    def __init__(self, connection: "_Connection") -> None:
        self.connection = connection
        self._owner = ""
        self._heard: Heard | None = None
        self._objects: dict[str, Answer] = {}
        connection.add_message_handler(self._take)

    @classmethod
    async def open(cls) -> "Bus":
        """Connect. Raises ``OSError`` when there is no bus, or it lets nobody in."""
        connection = None
        try:
            async with asyncio.timeout(CALL_SECONDS):
                connection = _Connection()
                await connection.connect()
        except Exception as error:
            if connection is not None:
                connection.abandon()
            raise ConnectionError(str(error)) from error
        return cls(connection)

    async def lost(self) -> None:
        """Return once the connection is gone."""
        await self.connection.gone.wait()

    async def close(self) -> None:
        """End the connection, and all BlueZ did for it; idempotent."""
        if self.connection.connected:
            self.connection.disconnect()  # type: ignore[no-untyped-call]
        await self.lost()

    async def call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        *body: Any,
        to: str = BLUEZ,
    ) -> list[Any]:
        """What a method returned. Raises ``BusError``."""
        message = _message(path, interface, member, signature, body, to)
        try:
            async with asyncio.timeout(CALL_SECONDS):
                reply = await self.connection.call(message)
        except TimeoutError:
            raise BusError(NO_ANSWER) from None
        except Exception as error:
            raise BusError("", str(error)) from error
        if reply is None:
            raise BusError("", "the bus is gone")
        if reply.message_type is MessageType.ERROR:
            text = reply.body[0] if reply.body and isinstance(reply.body[0], str) else ""
            raise BusError(reply.error_name or "", text)
        return list(reply.body)

    def tell(self, path: str, interface: str, member: str) -> None:
        """Call a method of BlueZ without arguments whose answer nobody waits for."""
        if not self.connection.connected:
            return
        message = _message(path, interface, member, "", (), BLUEZ)
        message.flags = MessageFlag.NO_REPLY_EXPECTED
        self.connection.send(message)

    async def ping(self) -> None:
        """Return when BlueZ has read all that was sent before. Raises ``BusError``."""
        await self.call("/", "org.freedesktop.DBus.Peer", "Ping")

    async def set(self, path: str, interface: str, name: str, signature: str, value: Any) -> None:
        """Set a property. Raises ``BusError``."""
        variant = Variant(signature, value)
        await self.call(path, PROPERTIES, "Set", "ssv", interface, name, variant)

    async def listen(self, heard: Heard) -> None:
        """Be called with every signal BlueZ sends of devices, adapters and its own end."""
        self._heard = heard
        [self._owner] = await self.call(DAEMON_PATH, DAEMON, "GetNameOwner", "s", BLUEZ, to=DAEMON)
        for rule in (
            f"type='signal',sender='{BLUEZ}',interface='{OBJECTS}'",
            f"type='signal',sender='{BLUEZ}',interface='{PROPERTIES}'",
            f"type='signal',sender='{DAEMON}',member='NameOwnerChanged',arg0='{BLUEZ}'",
        ):
            await self.call(DAEMON_PATH, DAEMON, "AddMatch", "s", rule, to=DAEMON)

    async def objects(self) -> dict[str, dict[str, dict[str, Any]]]:
        """BlueZ's objects: path → interface → properties. Starts BlueZ where systemd can."""
        [found] = await self.call("/", OBJECTS, "GetManagedObjects")
        return {
            path: {name: _plain(values) for name, values in interfaces.items()}
            for path, interfaces in found.items()
        }

    def offer(self, path: str, answer: Answer | None) -> None:
        """Answer BlueZ's calls to an object of ours, by the member's name; None: no more."""
        if answer is None:
            self._objects.pop(path, None)
        else:
            self._objects[path] = answer

    def _take(self, message: Message) -> Message | None:
        if message.message_type is MessageType.METHOD_CALL and message.path in self._objects:
            signature, values = self._objects[message.path](message.member)
            return Message.new_method_return(message, signature, values)
        # Anybody on the bus may send a signal to somebody.
        known = message.sender in {self._owner, DAEMON}
        if message.message_type is MessageType.SIGNAL and known and self._heard is not None:
            body = [_plain(part) for part in message.body]
            self._heard(message.path, message.interface, message.member, body)
        return None


class _Connection(MessageBus):
    """Closes what the library leaves open, and looks at failures it leaves to nobody."""

    def __init__(self) -> None:
        # Set last, when the descriptors are closed.
        self.gone = asyncio.Event()
        super().__init__(bus_type=BusType.SYSTEM)

    def _setup_socket(self) -> None:
        try:
            super()._setup_socket()  # type: ignore[no-untyped-call]
        except BaseException:
            self._close_socket()
            raise

    def send(self, msg: Message) -> "asyncio.Future[Any]":  # type: ignore[override]
        future: asyncio.Future[Any] = super().send(msg)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return future

    def abandon(self) -> None:
        """Give up a connection that never came about."""
        self._user_disconnect = True
        self._finalize()

    def _finalize(self, err: Exception | None = None) -> None:
        super()._finalize(err)  # type: ignore[no-untyped-call]
        # Why it ended is known by the calls that failed.
        self._disconnect_future.exception()
        self._close_socket()
        self.gone.set()

    def _close_socket(self) -> None:
        if hasattr(self, "_stream"):
            with contextlib.suppress(OSError, ValueError):
                self._stream.close()
            self._sock.close()


def variant(signature: str, value: Any) -> Variant:
    """A value that carries its type."""
    return Variant(signature, value)


def _message(path: str, interface: str, member: str, signature: str, body: Any, to: str) -> Message:
    return Message(
        destination=to,
        path=path,
        interface=interface,
        member=member,
        signature=signature,
        body=list(body),
    )


def _plain(value: Any) -> Any:
    """A value without the types it carried."""
    if isinstance(value, Variant):
        return _plain(value.value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return value
