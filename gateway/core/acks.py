"""Which of a peer's updates are decided: acks are cumulative, decisions need not be in order."""


class Decided:
    """Numbers from 1; ``upto`` is the highest below which nothing is undecided."""

    __slots__ = ("_ahead", "upto")

    def __init__(self) -> None:
        self.upto = 0
        self._ahead: set[int] = set()

    def add(self, number: int) -> None:
        """One more update is on the disk or was refused."""
        if number != self.upto + 1:
            self._ahead.add(number)
            return
        self.upto = number
        while self.upto + 1 in self._ahead:
            self.upto += 1
            self._ahead.discard(self.upto)
