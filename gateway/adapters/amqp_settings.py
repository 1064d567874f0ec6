"""Where RabbitMQ is, the files for it, and what failures below AMQP mean (``adapters/amqp.py``)."""

import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.core.errors import GatewayError

EX_UNAVAILABLE: Final = 69
# Name, TCP and TLS of one node; until it has said yes to everything.
CONNECT_SECONDS: Final = 5.0
GREETING_SECONDS: Final = 15.0
# A node that hangs is known after two of them and 10 s: so pika waits, which was measured.
HEARTBEAT_SECONDS: Final = 10
# A batch of the database, and the next that waits meanwhile.
PREFETCH: Final = 256


@dataclass(frozen=True, slots=True)
class AmqpSettings:
    """Where RabbitMQ is and what it is shown; empty: none. ``hosts``: name and port of its nodes.

    ``root``: what the topics of all stores have in common, as in ``config.Mqtt``; ``prefetch``: how
    many messages are here at most that are not done.
    """

    hosts: tuple[tuple[str, int], ...]
    tls: bool = True
    ca: str = ""
    certificate: str = ""
    key: str = ""
    user: str = ""
    password_file: str = ""
    virtual_host: str = "/"
    root: str = "store-gateway"
    prefetch: int = PREFETCH


def broker_error(code: str, detail: str = "") -> GatewayError:
    """An error with a code of ``core.bridge.CAUSES``; its sentence only says what was met."""
    return GatewayError(code, detail, EX_UNAVAILABLE)


def read_files(settings: AmqpSettings) -> tuple[ssl.SSLContext | None, str]:
    """What is read anew for each connection, so that a new certificate or password counts."""
    path = settings.password_file
    try:
        password = Path(path).read_text(encoding="utf-8-sig").rstrip("\r\n") if path else ""
        if not settings.tls:
            return None, password
        path = settings.ca
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
        path = "the password file" if path == settings.password_file else path
        raise broker_error("broker-settings", f"{path}: {shown}") from error
    return context, password


def broken(error: OSError) -> GatewayError:
    """What a failure of name, TCP or TLS means."""
    match error:
        case socket.gaierror():
            return broker_error("broker-name", error.strerror or "")
        case ssl.SSLCertVerificationError():
            return broker_error("broker-certificate", error.verify_message)
        case ssl.SSLError() if "ALERT" in (error.reason or ""):
            # The broker's word on what it was shown.
            return broker_error("broker-own-certificate", error.reason.replace("_", " ").lower())
        case ssl.SSLError():
            return broker_error("broker-no-mqtt", "it does not speak TLS")
    return broker_error("broker-unreachable", os.strerror(error.errno or 0))
