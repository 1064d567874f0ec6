"""When a peer that is away is called again."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.core.errors import GatewayError
from gateway.ports import Link
from gateway.runtime.caller import keep_calling
from tests.runtime.memory import NoLink


class Time:
    """Satisfies ``Clock``; sleeping moves it on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        if len(self.pauses) == 9:
            raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("chance", "lasts", "pauses"),
    [
        (0.0, None, [0.5, 1, 2, 3, 3, 3, 3, 3, 3]),
        (1.0, None, [0.25, 0.5, 1, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5]),
        (0.0, 1.0, [0.5, 1, 2, 3, 3, 3, 3, 3, 3]),
        (0.0, 60.0, [0.5] * 9),
    ],
)
def test_pauses_grow_until_a_link_lasted(
    monkeypatch: pytest.MonkeyPatch, chance: float, lasts: float | None, pauses: list[float]
) -> None:
    time = Time()
    errors: list[str] = []

    async def connect() -> Link:
        if lasts is None:
            raise GatewayError("unreachable", "nobody is there")
        return NoLink()

    async def serve(link: Link) -> None:
        assert lasts is not None
        time.now += lasts

    async def run(call: Callable[[], Awaitable[None]]) -> None:
        monkeypatch.setattr("gateway.runtime.caller.asyncio.sleep", time.sleep)
        with pytest.raises(asyncio.CancelledError):
            await call()

    asyncio.run(
        run(
            lambda: keep_calling(
                connect, serve, lambda error: errors.append(error.code), time, lambda: chance
            )
        )
    )
    assert time.pauses == pauses
    assert len(errors) == (9 if lasts is None else 0)


def test_who_is_not_wanted_is_not_called_but_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time = Time()
    calls: list[float] = []

    async def connect() -> Link:
        calls.append(time.now)
        raise GatewayError("unreachable", "nobody is there")

    def is_wanted() -> bool:
        return 1.0 < time.now < 9.0

    async def run() -> None:
        monkeypatch.setattr("gateway.runtime.caller.asyncio.sleep", time.sleep)
        with pytest.raises(asyncio.CancelledError):
            await keep_calling(
                connect, lambda link: asyncio.sleep(0), lambda _: None, time, lambda: 0, is_wanted
            )

    asyncio.run(run())
    assert calls == [1.5, 3.5, 6.5] and len(time.pauses) == 9
