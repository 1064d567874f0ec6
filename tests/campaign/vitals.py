"""What the kernel tells of a process over time, and how fast a figure grows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_KILOBYTES = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look; ``seconds`` since the beginning, memory and ``written`` in bytes.

    ``uss`` is what the process has for itself alone, ``anonymous`` what belongs to no file,
    ``written`` what it caused to be written to a disk.
    """

    seconds: float
    pss: int
    rss: int
    uss: int
    anonymous: int
    descriptors: int
    threads: int
    written: int


def look(pid: int, seconds: float) -> Vitals:
    """Look at a process now."""
    process = Path(f"/proc/{pid}")
    sizes = {name: 1024 * int(kilobytes) for name, kilobytes in _kilobytes(process)}
    return Vitals(
        seconds=seconds,
        pss=sizes["Pss"],
        rss=sizes["Rss"],
        uss=sizes["Private_Clean"] + sizes["Private_Dirty"],
        anonymous=sizes["Anonymous"],
        descriptors=len(list((process / "fd").iterdir())),
        threads=len(list((process / "task").iterdir())),
        written=written_bytes(pid),
    )


def written_bytes(pid: int) -> int:
    """Bytes a process caused to be written to a disk so far."""
    found = re.search(r"^write_bytes: (\d+)$", Path(f"/proc/{pid}/io").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Growth per unit of the first coordinate: the median over all pairs (Theil and Sen)."""
    return median(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(points)
        for later in points[index + 1 :]
    )


def _kilobytes(process: Path) -> list[tuple[str, str]]:
    return _KILOBYTES.findall((process / "smaps_rollup").read_text())
