"""What is wrong with the broker, said of a hub."""

import re

import pytest

from gateway.core.bridge import CAUSES, CONNECTING, NO_NETWORK, OK, section
from gateway.core.hub_words import of_hub
from tests.support.gateway import ROOT

OF_HUBS = (OK, CONNECTING, NO_NETWORK, *CAUSES.values())


@pytest.mark.parametrize("cause", [one for one in OF_HUBS if not one.code.startswith("hub-")])
def test_no_sentence_is_of_a_gateway(cause: object) -> None:
    said = of_hub(section(cause))  # type: ignore[arg-type]
    text = f"{said['sentence']} {said['do']}"
    assert "this gateway" not in text and "cloud" not in text
    assert not re.search(r"mqtt\.(?!md)", text)
    for path in re.findall(r"docs/\S+?\.md", text):
        assert (ROOT / path).is_file(), path


def test_the_rest_stays() -> None:
    said = of_hub(section(OK, broker="b:1", waiting=2))
    assert said == {**section(OK, broker="b:1", waiting=2), "sentence": "The broker is connected."}
