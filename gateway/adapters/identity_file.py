"""The folder of a device's identity: keys, what it is in its store, whom it paired.

Private keys are in here and nowhere else. Files are for their owner only, and a file is
replaced as a whole: written beside, on the disk, then renamed.
"""

import json
import os
from pathlib import Path
from typing import Any

from gateway.core.errors import GatewayError

FOLDER_MODE = 0o700
FILE_MODE = 0o600
EX_DATA = 65
EX_IOERR = 74


class IdentityFolder:
    """Satisfies ``IdentityStore``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> Any:
        """See ``IdentityStore``."""
        path = self._path(name)
        try:
            return json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(path, error) from error
        except ValueError as error:
            # The cause might quote what is in the file.
            raise GatewayError("identity-damaged", f"{path} is damaged", EX_DATA) from error

    def write(self, name: str, value: Any) -> None:
        """See ``IdentityStore``."""
        path = self._path(name)
        fresh = path.with_suffix(".new")
        try:
            self._folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            with os.fdopen(descriptor, "w") as file:
                json.dump(value, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(path)
            self._settle(self._folder)
            self._settle(self._folder.parent)
        except OSError as error:
            raise _failed(path, error) from error

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _settle(self, folder: Path) -> None:
        """What was named in a folder is on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _failed(path: Path, error: OSError) -> GatewayError:
    return GatewayError("identity-failed", f"{path}: {error.strerror}", EX_IOERR)
