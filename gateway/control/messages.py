"""The admin door's messages: one JSON object a line, both ways."""

import json
from collections.abc import Mapping
from typing import Any

# A request is a verb and a few words; an answer may list many peers and documents.
REQUEST_BYTES = 65_536
ANSWER_BYTES = 4_194_304


class ControlError(Exception):
    """The gateway did not do it, or cannot be asked: a stable code and a plain sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


def request(number: int, verb: str, arguments: Mapping[str, Any]) -> bytes:
    """A request as a line."""
    return _line({**arguments, "id": number, "verb": verb})


def result(number: int, value: Mapping[str, Any]) -> bytes:
    """A good answer as a line."""
    return _line({"id": number, "ok": True, "result": value})


def failure(number: int, code: str, sentence: str) -> bytes:
    """A bad answer as a line."""
    return _line({"id": number, "ok": False, "code": code, "error": sentence})


def read_request(line: bytes) -> tuple[int, str, dict[str, Any]]:
    """Number, verb and arguments. Raises ``ControlError`` ``bad-request``."""
    try:
        fields = json.loads(line)
        number, verb = fields.pop("id", 0), fields.pop("verb")
    except RecursionError:
        raise ControlError("bad-request", "a request is nested too deeply") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ControlError("bad-request", "a request is a JSON object with a verb") from None
    if type(number) is not int or not isinstance(verb, str):
        raise ControlError("bad-request", "id is a whole number and verb a text")
    return number, verb, fields


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
