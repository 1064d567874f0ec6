"""Tries to connect to a host and port, and says what was met."""

import errno
import socket

from gateway.core.diagnosis import Port

# The kernel takes 3 s to find out that nobody has an address in a network of ours.
CONNECT_SECONDS = 5.0
# Addresses of one name that are tried.
MAX_TRIED = 4
_BY_ERROR = {
    errno.ECONNREFUSED: Port.CLOSED, errno.ECONNRESET: Port.CLOSED,
    errno.EHOSTUNREACH: Port.NO_HOST, errno.ENETUNREACH: Port.NO_ROUTE,
}  # fmt: skip


def attempt(host: str, port: int, seconds: float = CONNECT_SECONDS) -> tuple[tuple[str, ...], Port]:
    """The addresses of a host, best first, and what the first that answers answered.

    Where none answers it is what the first one met.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return (), Port.NO_NAME
    ips = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))[:MAX_TRIED]
    met = {}
    for ip in ips:
        met[ip] = _connect(ip, port, seconds)
        if met[ip] is Port.OPEN:
            return (ip, *(other for other in ips if other != ip)), Port.OPEN
    return ips, met[ips[0]]


def _connect(ip: str, port: int, seconds: float) -> Port:
    try:
        socket.create_connection((ip, port), seconds).close()
    except TimeoutError:
        return Port.FILTERED
    except OSError as error:
        return _BY_ERROR.get(error.errno or 0, Port.FILTERED)
    return Port.OPEN
