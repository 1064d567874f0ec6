"""A hub worker in a process of its own, that may be killed: it is done with every other message.

It is given the fields of ``AmqpSettings`` as JSON and says ``done PAYLOAD`` or ``held PAYLOAD``.
"""

import asyncio
import json
import sys

from gateway.adapters.amqp import connect
from gateway.adapters.amqp_settings import AmqpSettings


async def main(fields: str) -> None:
    given = json.loads(fields)
    given["hosts"] = tuple((host, port) for host, port in given["hosts"])
    intake = await connect(AmqpSettings(**given))
    print("consuming", flush=True)
    number = 0
    while True:
        message = await intake.message()
        number += 1
        if number % 2:
            intake.done(message)
        print("done" if number % 2 else "held", message.payload.decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
