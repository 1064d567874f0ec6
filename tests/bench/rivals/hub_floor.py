"""The least a worker of a hub could do: take messages, insert each or not, acknowledge.

It is given JSON: ``port`` of MQTT, or of AMQP where there is a ``password_file``; ``table``: where
each message is inserted, a hundred in a transaction; "": nowhere; ``count``: messages. It says
``ready``, and in the end its seconds and its processor time as JSON.
"""

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from gateway.adapters.amqp import connect
from gateway.adapters.amqp_settings import AmqpSettings
from gateway.adapters.mqtt import Mqtt
from gateway.adapters.mqtt_pipe import Settings
from gateway.adapters.postgres_link import PostgresLink
from gateway.core.bridge import Message, Publication
from gateway.core.bridge_topics import HubTopics
from gateway.ports import Intake
from tests.bench.stores import ROOT

BATCH = 100
TABLE = "CREATE TABLE IF NOT EXISTS floor (topic text, bytes {})"
Insert = Callable[[Sequence[Message]], object]


async def intake(given: dict[str, Any]) -> Intake:
    """Where a worker of a hub takes messages."""
    if "password_file" in given:
        hosts = (("127.0.0.1", given["port"]),)
        return await connect(
            AmqpSettings(hosts, False, "", "", "", "hub", given["password_file"], "/", ROOT)
        )
    settings = Settings(
        "127.0.0.1", given["port"], False, "floor",
        window=400, max_waiting=4_000, max_waiting_bytes=134_217_728,
    )  # fmt: skip
    link = await Mqtt(settings).connect(Publication("floor", b""))
    await link.share("hub", [HubTopics(ROOT).up])
    return link


def inserting(table: str) -> Insert:
    """Writes messages to the table, as durably as a hub does."""
    if not table:
        return len
    if table.startswith("postgresql:"):
        link = PostgresLink(table)
        link.together((TABLE.format("bytea"), ()))
        into = "INSERT INTO floor VALUES (%s, %b)"
        return lambda some: link.together(*((into, (one.topic, one.payload)) for one in some))
    database = sqlite3.connect(table, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(TABLE.format("blob"))

    def insert(some: Sequence[Message]) -> None:
        database.execute("BEGIN IMMEDIATE")
        for one in some:
            database.execute("INSERT INTO floor VALUES (?, ?)", (one.topic, one.payload))
        database.execute("COMMIT")

    return insert


async def main(given: dict[str, Any]) -> None:
    """Take so many messages."""
    insert = inserting(given["table"])
    source = await intake(given)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    waiting = [await source.message()]
    began, used, left = time.monotonic(), time.process_time(), given["count"]
    while True:
        while len(waiting) < min(BATCH, left):
            waiting.append(await source.message())
        if given["table"]:
            await asyncio.to_thread(insert, waiting)
        for message in waiting:
            source.done(message)
        left -= len(waiting)
        if not left:
            break
        waiting = [await source.message()]
    found = {"seconds": time.monotonic() - began, "used": time.process_time() - used}
    # What is acknowledged goes out.
    await source.close(1.0)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
