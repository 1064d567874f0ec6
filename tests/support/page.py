"""The JavaScript SDK in a page whose ``navigator.bluetooth`` is a radio of the test."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self

from tests.support.node import SCRIPTS

SCRIPT = "bluetooth-bridge.mjs"
COMMAND_SECONDS = 60.0
# Values come as one line of hexadecimal digits.
LINE_BYTES = 2**20


class PageRadio(Protocol):
    """What a browser asks of Bluetooth. What fails raises ``OSError``, or what bumble raises."""

    async def reach(self) -> None:
        """Connect to the gateway."""

    async def read(self, characteristic: str) -> bytes:
        """The value of a characteristic."""

    async def write(self, characteristic: str, value: bytes, *, answered: bool = True) -> None:
        """Write it."""

    async def listen(self, characteristic: str, heard: Callable[[bytes], object]) -> None:
        """Have notifications."""

    def on_lost(self, lost: Callable[[], None]) -> None:
        """Tell when the connection of now is gone."""

    async def disconnect(self) -> None:
        """Let it go."""


class Page:
    """``async with Page(radio) as page``; ``url``: of the gateway in the network, if any."""

    def __init__(self, radio: PageRadio, url: str = "") -> None:
        self._radio = radio
        self._url = url
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            "node", SCRIPT, *([self._url] if self._url else []),
            cwd=SCRIPTS, stdin=PIPE, stdout=PIPE, limit=LINE_BYTES,
        )  # fmt: skip
        self._spawn(self._hear())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._radio.disconnect()

    async def call(self, do: str, seconds: float = COMMAND_SECONDS, **arguments: Any) -> Any:
        """Send a command; its result, or an AssertionError with what the script said."""
        self._say({"do": do, **arguments})
        answer = await asyncio.wait_for(self._answers.get(), seconds)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    async def until(self, do: str, check: Callable[[Any], bool], **arguments: Any) -> Any:
        """The first result of a command that satisfies ``check``."""
        result = None
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                while not check(result := await self.call(do, **arguments)):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{do}: last result {result!r}") from None
        return result

    def _say(self, line: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        if self._process.returncode is None:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hear(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "ask" in said:
                self._spawn(self._serve(**said))
            else:
                self._answers.put_nowait(said)
        self._answers.put_nowait({"error": "the script ended"})

    async def _serve(self, ask: int, verb: str, **details: Any) -> None:
        try:
            value = await self._do(verb, **details)
        except Exception as error:  # noqa: BLE001  The page is told, as by a browser.
            self._say({"answer": ask, "error": f"{type(error).__name__}: {error}"})
        else:
            self._say({"answer": ask, "value": value})

    async def _do(
        self, verb: str, uuid: str = "", value: str = "", answered: bool = True
    ) -> str | None:  # fmt: skip
        radio = self._radio
        if verb == "connect":
            await radio.reach()
            radio.on_lost(lambda: self._say({"disconnected": True}))
        elif verb == "read":
            return (await radio.read(uuid)).hex()
        elif verb == "write":
            await radio.write(uuid, bytes.fromhex(value), answered=answered)
        elif verb == "subscribe":
            await radio.listen(uuid, lambda it: self._say({"notified": uuid, "value": it.hex()}))
        else:
            await radio.disconnect()
        return None
