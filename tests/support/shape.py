"""What a way of the network takes: so many bytes a second, and each of them a while."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """One direction. Without ``bytes_a_second`` it takes what comes."""

    bytes_a_second: float | None = None
    delay_seconds: float = 0.0


class Line:
    """One direction of a way: bytes go one after the other, whatever connection they are of."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._free_at = 0.0

    def send(self, size: int, now: float) -> tuple[float, float]:
        """When the line takes more, and when these bytes are at its other end."""
        rate = self.shape.bytes_a_second
        self._free_at = max(now, self._free_at) + (size / rate if rate else 0.0)
        return self._free_at, self._free_at + self.shape.delay_seconds
