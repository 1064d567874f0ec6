"""Commands from the cloud: bytes in, what is to be done out, and the answers that were given.

docs/mqtt.md, "Commands".
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from gateway.core.errors import GatewayError, PeerError
from gateway.core.json_text import check_json
from gateway.core.limits import Limits
from gateway.core.names import collection_of, own_name

# A command, its content, and what may stand in that.
MAX_NESTING = Limits().nesting + 2
MAX_TRANSACTION = 128
# Answers of so many transactions are remembered; they are short.
MOST_ANSWERS = 1_000
DIGEST_BYTES = 16
VERBS = ("get", "patch", "put")
EX_USAGE = 64
EX_NOPERM = 77


@dataclass(frozen=True, slots=True)
class Command:
    """``arguments`` as ``runtime.edits`` takes them; ``digest`` of all that was said.

    ``transaction`` is empty where there was none.
    """

    transaction: str
    verb: str
    arguments: Mapping[str, Any]
    digest: bytes


def read_command(payload: bytes) -> Command:
    """What a message asks for, whatever it is. Raises ``GatewayError`` ``bad-command``."""
    try:
        text = payload.decode()
        check_json(text, MAX_NESTING)
        said = json.loads(text)
    except (UnicodeError, PeerError) as error:
        raise _bad("the command is not JSON, or nested too deep") from error
    if not isinstance(said, dict):
        raise _bad("the command is not a JSON object")
    arguments = {key: value for key, value in said.items() if key not in ("transaction", "verb")}
    transaction, verb = said.get("transaction"), said.get("verb")
    is_short = isinstance(transaction, str) and 0 < len(transaction) <= MAX_TRANSACTION
    canonical = json.dumps(said, sort_keys=True).encode()
    return Command(
        str(transaction) if is_short else "",
        verb if isinstance(verb, str) else "",
        arguments,
        blake2b(canonical, digest_size=DIGEST_BYTES).digest(),
    )


def check_command(command: Command, collections: Collection[str]) -> None:
    """Raises ``GatewayError``: ``bad-command``, ``bad-name``, ``forbidden``."""
    if not command.transaction:
        raise _bad(f"the command needs a transaction: a text of 1 to {MAX_TRANSACTION} characters")
    if command.verb not in VERBS:
        raise _bad(f"there is no such verb; known are {', '.join(VERBS)}")
    document = command.arguments.get("document")
    if not isinstance(document, str):
        raise _bad("the command needs a document: a text, collection/id")
    if collection_of(own_name(document)) not in collections:
        sentence = "the settings of this gateway (mqtt.commands) do not allow this collection"
        raise GatewayError("forbidden", sentence, EX_NOPERM)


class Answers:
    """The answers to changes that were made, the last of them, by transaction."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, Mapping[str, Any]]] = {}

    def find(self, command: Command) -> Mapping[str, Any] | None:
        """The answer that was given to this command before.

        Raises ``GatewayError`` ``transaction-used`` if that was another one.
        """
        digest, answer = self._kept.get(command.transaction, (command.digest, None))
        if digest != command.digest:
            raise transaction_used()
        return answer

    def keep(self, command: Command, answer: Mapping[str, Any]) -> None:
        """It was done: it is not to be done again."""
        self._kept[command.transaction] = command.digest, answer
        if len(self._kept) > MOST_ANSWERS:
            del self._kept[next(iter(self._kept))]


def transaction_used() -> GatewayError:
    """The transaction stands for another command."""
    sentence = "this transaction was another command; take a new one for each"
    return GatewayError("transaction-used", sentence, EX_USAGE)


def _bad(sentence: str) -> GatewayError:
    return GatewayError("bad-command", sentence, EX_USAGE)
