"""The private key of a hub, in a file for its owner only; made at first use.

All workers of a hub have the same one. Any of several that start at once may make it.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from gateway.core.errors import GatewayError
from gateway.core.primitives import KEY_BYTES

FOLDER_MODE = 0o700
FILE_MODE = 0o600
EX_DATA = 65
EX_IOERR = 74


def read_key(path: Path, draw: Callable[[int], bytes]) -> bytes:
    """The key in a file. Raises ``GatewayError`` ``hub-key``, ``hub-key-damaged``.

    ``draw(count)`` gives random bytes for one that is not there yet.
    """
    try:
        path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if not path.exists():
            _make(path, draw(KEY_BYTES))
        text = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise GatewayError("hub-key", f"{path}: {error.strerror}", EX_IOERR) from error
    except UnicodeDecodeError:
        text = ""
    with contextlib.suppress(ValueError):
        key = bytes.fromhex(text)
        if len(key) == KEY_BYTES:
            return key
    # What is in the file is nobody's business.
    sentence = f"{path} is not the key of a hub: {2 * KEY_BYTES} hex digits"
    raise GatewayError("hub-key-damaged", sentence, EX_DATA) from None


def _make(path: Path, key: bytes) -> None:
    """Written beside, on the disk, then named: it is there whole, and only once."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{key.hex()}\n")
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(fresh)
    fresh.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
