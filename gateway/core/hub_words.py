"""What is wrong with the broker, said of a hub: the causes are written for a gateway. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

# A hub names its broker in a section of its own, and is in the cloud itself.
_WORDS: Final = (
    (re.compile(r"\bmqtt\.(?!md\b)"), "broker."),
    (re.compile(r"\bthis gateway\b"), "this hub"),
    (re.compile(r"^The cloud is\b"), "The broker is"),
    (re.compile(r"\b(for|to) the cloud\b"), r"\1 the broker"),
    (
        re.compile("so there is no cloud; the store goes on without"),
        "so the broker is not reached; stores go on without",
    ),
)


def of_hub(section: Mapping[str, Any]) -> dict[str, Any]:
    """``core.bridge.section`` with its sentences as they are right for a worker of a hub."""
    return {**section, "sentence": said(section["sentence"]), "do": said(section["do"])}


def said(text: str) -> str:
    """A sentence of a cause, of a hub."""
    for pattern, word in _WORDS:
        text = pattern.sub(word, text)
    return text
