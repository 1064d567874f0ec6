"""A memory-mapped note of what is being applied, read again after a crash.

It survives the death of the process, not of the machine: that is enough, because what
is not in the store was not applied before a power cut either. Layout: one state byte,
a 4-byte count, then per item the document, author and update, each after a 4-byte length.
"""

import mmap
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gateway.core.errors import GatewayError

# Room for several messages of the largest size.
NOTE_BYTES = 1_048_576
FILE_NAME = "applying.note"
SUSPECTS_NAME = "suspects"
_IDLE, _APPLYING = 0, 1
_HEADER = struct.Struct("<BI")

Item = tuple[str, str, bytes]


class CrashNote:
    """The note in ``folder``. Satisfies ``Note``."""

    def __init__(self, folder: Path) -> None:
        path = folder / FILE_NAME
        self._suspects = folder / SUSPECTS_NAME
        try:
            with path.open("a+b") as file:
                path.chmod(0o600)
                file.truncate(NOTE_BYTES)
                # On a full disk, writing into a hole of a mapped file ends the process.
                os.posix_fallocate(file.fileno(), 0, NOTE_BYTES)
                self._map = mmap.mmap(file.fileno(), NOTE_BYTES)
        except OSError as error:
            raise GatewayError(
                "store-folder", f"cannot write in {folder}: {error.strerror}", 73
            ) from error

    def found(self) -> list[Item]:
        """What was being applied when the process died; empty after a clean turn."""
        state, count = _HEADER.unpack_from(self._map)
        if state != _APPLYING:
            return []
        fields = iter(_fields(self._map, 3 * count))
        return [
            (name.decode(errors="replace"), author.decode(errors="replace"), update)
            for name, author, update in zip(fields, fields, fields, strict=False)
        ]

    def suspects(self) -> frozenset[bytes]:
        """Digests of what was being applied when the process died before that."""
        if not self._suspects.exists():
            return frozenset()
        words = self._suspects.read_text(errors="replace").split()
        return frozenset(bytes.fromhex(word) for word in words if _is_digest(word))

    def suspect(self, digests: Iterable[bytes]) -> None:
        """Remember these, in place of those before, for the next start."""
        try:
            self._suspects.write_text("".join(f"{digest.hex()}\n" for digest in sorted(digests)))
        except OSError as error:
            sentence = f"cannot write {self._suspects}: {error.strerror}"
            raise GatewayError("store-folder", sentence, 73) from error

    def before(self, applying: Sequence[Item]) -> None:
        """See ``Note``. What does not fit is left out."""
        parts = []
        count, size = 0, _HEADER.size
        for name, author, update in applying:
            item = b"".join(_prefixed(part) for part in (name.encode(), author.encode(), update))
            if size + len(item) > NOTE_BYTES:
                break
            parts.append(item)
            count, size = count + 1, size + len(item)
        self._map[_HEADER.size : size] = b"".join(parts)
        _HEADER.pack_into(self._map, 0, _APPLYING, count)

    def after(self) -> None:
        """See ``Note``."""
        self._map[0] = _IDLE

    def close(self) -> None:
        """Release the file."""
        self._map.close()


def _is_digest(word: str) -> bool:
    return len(word) == 32 and all(character in "0123456789abcdef" for character in word)


def _prefixed(part: bytes) -> bytes:
    return len(part).to_bytes(4, "little") + part


def _fields(note: mmap.mmap, count: int) -> Iterator[bytes]:
    position = _HEADER.size
    for _ in range(count):
        length = int.from_bytes(note[position : position + 4], "little")
        position += 4
        if length > NOTE_BYTES - position:
            return  # Not written by us, or not to its end.
        yield note[position : position + length]
        position += length
