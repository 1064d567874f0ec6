"""The admin door's messages: one JSON object a line, both ways."""

import json
from collections.abc import Mapping
from typing import Any

# A request may hold what a document is to be, as a line of a script may (adapters.console); an
# answer may list many peers and documents.
REQUEST_BYTES = 262_144
ANSWER_BYTES = 4_194_304
TOO_LONG = f"a request is at most {REQUEST_BYTES} bytes"


# Whole numbers beyond it are not what they were when a script in JavaScript reads them.
EXACT = 2**53

# What a request was called by who sent it; its answer bears it too.
Id = int | str


class ControlError(Exception):
    """The gateway did not do it, or cannot be asked: a stable code and a plain sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


def request(number: int, verb: str, arguments: Mapping[str, Any]) -> bytes:
    """A request as a line. Raises ``ControlError`` ``usage`` for one that is too long."""
    fields = {**arguments, "id": number, "verb": verb}
    # As it is: escaped, a text of other letters would have three times the length.
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    line = text.encode(errors="surrogatepass") + b"\n"
    if len(line) > REQUEST_BYTES:
        raise ControlError("usage", f"{TOO_LONG}; this one has {len(line)}")
    return line


def result(number: Id, value: Mapping[str, Any]) -> bytes:
    """A good answer as a line."""
    return _line({"id": number, "ok": True, "result": value})


def failure(number: Id, code: str, sentence: str) -> bytes:
    """A bad answer as a line."""
    return _line({"id": number, "ok": False, "code": code, "error": sentence})


def read_request(line: bytes) -> tuple[Id, dict[str, Any]]:
    """Id (0 if there is none) and the rest. Raises ``ControlError`` ``bad-request``."""
    try:
        fields = json.loads(line)
        number = fields.pop("id", 0)
    except RecursionError:
        raise ControlError("bad-request", "a request is nested too deeply") from None
    except (ValueError, AttributeError, TypeError):
        raise ControlError("bad-request", "a request is a JSON object with a verb") from None
    if not (isinstance(number, str) or (type(number) is int and abs(number) <= EXACT)):
        raise ControlError("bad-request", "id is a text, or a whole number within 2^53")
    return number, fields


def read_answer(line: bytes) -> dict[str, Any]:
    """The result. Raises ``ControlError`` with the gateway's code, or ``bad-answer``."""
    try:
        fields = json.loads(line)
        if not fields["ok"]:
            raise ControlError(str(fields["code"]), str(fields["error"]))
        value: dict[str, Any] = fields["result"]
    except (ValueError, KeyError, TypeError):
        raise ControlError("bad-answer", "the gateway's answer cannot be read") from None
    return value


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"
