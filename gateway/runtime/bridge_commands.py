"""Does what commands from the cloud ask for, one after the other, and answers (docs/mqtt.md)."""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from gateway.core.bridge import Message, Publication
from gateway.core.bridge_commands import (
    Answers,
    Command,
    check_command,
    read_command,
    transaction_used,
)
from gateway.core.bridge_topics import Topics
from gateway.core.errors import GatewayError
from gateway.core.text import shown
from gateway.ports import BrokerLink
from gateway.runtime.bridge_inbox import Inbox
from gateway.runtime.bridge_projector import REFUSED, REST
from gateway.runtime.edits import edit
from gateway.runtime.local import Local

# After a command that took so long, of a large document, none is done for so many times as long,
# but not longer than the most: devices come first, however many commands wait.
SLOW_SECONDS = 0.1
MOST_REST_SECONDS = 5.0


class Commands:
    """``collections``: those that commands may read and write.

    ``refused(what, error)`` is told what the broker does not take, and by None that it does;
    ``decline`` what is not done.
    """

    def __init__(
        self,
        local: Local,
        collections: Collection[str],
        refused: Callable[[str, GatewayError | None], None],
        decline: Callable[[str], None],
    ) -> None:
        self._local = local
        self._collections = frozenset(collections)
        self._refused = refused
        self._decline = decline
        self._answers = Answers()
        # What is being done; it goes on when the connection is lost, and is not done twice.
        self._doing: dict[str, tuple[bytes, asyncio.Task[Mapping[str, Any]]]] = {}
        self.done = 0

    def topics(self, topics: Topics) -> list[str]:
        """Where commands come."""
        return [topics.request] if self._collections else []

    async def serve(self, link: BrokerLink, topics: Topics, inbox: Inbox) -> None:
        """Do commands, if there may be any, until the connection is lost.

        Raises ``GatewayError``.
        """
        await self._subscribe(link, topics.request)
        while True:
            message = await inbox.message(topics.request)
            if message.retained:
                self._decline("a retained command, which would be done again and again")
            else:
                await self._answer(message, link, topics)
            link.done(message)

    async def _subscribe(self, link: BrokerLink, topic: str) -> None:
        try:
            await link.subscribe([topic])
        except GatewayError as error:
            if error.code not in REFUSED:
                raise
            self._refused("commands", error)

    async def _answer(self, message: Message, link: BrokerLink, topics: Topics) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = await self._do(message.payload)
        took = loop.time() - began
        await self._tell(answer, message, link, topics)
        if took >= SLOW_SECONDS:
            await asyncio.sleep(min(REST * took, MOST_REST_SECONDS))

    async def _tell(
        self, answer: Mapping[str, Any], message: Message, link: BrokerLink, topics: Topics
    ) -> None:
        wanted = message.answer_topic
        if wanted and not topics.may_answer(wanted):
            self._decline("a command that wants its answer at a topic where it may not go")
            return
        topic = wanted or topics.response
        payload = json.dumps(answer, ensure_ascii=False).encode(errors="replace")
        if len(topic.encode()) + len(payload) + len(message.correlation) > link.most_bytes:
            sentence = "the answer is longer than the broker takes"
            payload = json.dumps(_error(answer, "too-big", sentence)).encode()
        try:
            await link.publish(Publication(topic, payload, correlation=message.correlation))
        except GatewayError as error:
            if error.code not in REFUSED:
                raise
            if wanted or message.correlation:
                # It is the asker who named what the broker does not take.
                self._decline(f"an answer, by the broker ({error.code})")
            else:
                self._refused("answers", error)
        else:
            self._refused("answers", None)

    async def _do(self, payload: bytes) -> Mapping[str, Any]:
        said: dict[str, Any] = {}
        try:
            command = read_command(payload)
            said = {"transaction": command.transaction} if command.transaction else {}
            check_command(command, self._collections)
            answer = self._answers.find(command) or await self._execute(command)
            self.done += 1
        except GatewayError as error:
            self._decline(f"a command ({error.code})")
            return _error(said, error.code, shown(error.sentence, 200))
        return answer

    async def _execute(self, command: Command) -> Mapping[str, Any]:
        digest, task = self._doing.get(command.transaction, (command.digest, None))
        if digest != command.digest:
            raise transaction_used()
        if task is None:
            task = asyncio.get_running_loop().create_task(self._edit(command))
            self._doing[command.transaction] = digest, task
            task.add_done_callback(partial(self._ended, command.transaction))
        return await asyncio.shield(task)

    async def _edit(self, command: Command) -> Mapping[str, Any]:
        result = await edit(self._local, command.verb, command.arguments)
        answer = {"transaction": command.transaction, "ok": True, **result}
        # What was read may be read again, and is long.
        if command.verb != "get":
            self._answers.keep(command, answer)
        return answer

    def _ended(self, transaction: str, task: "asyncio.Task[Mapping[str, Any]]") -> None:
        del self._doing[transaction]
        # Whoever waited for it may be gone.
        if not task.cancelled():
            task.exception()


def _error(said: Mapping[str, Any], code: str, sentence: str) -> Mapping[str, Any]:
    known = {"transaction": said["transaction"]} if "transaction" in said else {}
    return {**known, "ok": False, "code": code, "error": sentence}
