"""A phone's end of an L2CAP channel with credits (LE credit based, no pairing)."""

import asyncio

from bumble.device import Connection
from bumble.l2cap import LeCreditBasedChannel, LeCreditBasedChannelSpec

# The longest message (SDU) that the phone takes.
CHANNEL_MTU = 2048

READ_SECONDS = 10.0


class Channel:
    """Whole messages in both directions; made by ``Phone.open``."""

    def __init__(self, channel: LeCreditBasedChannel) -> None:
        self._channel = channel
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        channel.sink = self._heard.put_nowait
        # The longest message that the other end takes.
        self.peer_mtu = channel.peer_mtu

    @classmethod
    async def open(cls, connection: Connection, psm: int) -> "Channel":
        """Ask for a channel; bumble.core's L2capError when the other end refuses."""
        spec = LeCreditBasedChannelSpec(psm=psm, mtu=CHANNEL_MTU)
        opening = asyncio.ensure_future(connection.create_l2cap_channel(spec))
        # bumble does not expect an answer once who asked was cancelled; nobody sees it then.
        opening.add_done_callback(lambda done: done.cancelled() or done.exception())
        return cls(await asyncio.shield(opening))

    async def write(self, message: bytes) -> None:
        """Send a message and wait until the other end gave credits for all of it."""
        # bumble would join messages that wait together.
        self._channel.write(message)
        await self._channel.drain()

    async def read(self, seconds: float = READ_SECONDS) -> bytes:
        """The next message that was not read yet."""
        async with asyncio.timeout(seconds):
            return await self._heard.get()

    @property
    def open_still(self) -> bool:
        """Whether nobody closed it."""
        return self._channel.state is LeCreditBasedChannel.State.CONNECTED

    async def close(self) -> None:
        """Close it."""
        await self._channel.disconnect()
