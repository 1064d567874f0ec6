"""Requests for documents: what they need, and what they do not take."""

from typing import Any

import pytest

from gateway.core.errors import GatewayError
from gateway.runtime.edits import edit
from tests.runtime.test_local import local
from tests.runtime.test_perform import NAME, asynchronous, running


@asynchronous
async def test_a_document_is_written_and_read() -> None:
    async with running() as one:
        device = local(one)
        with pytest.raises(GatewayError) as caught:
            await edit(device, "get", {"document": NAME})
        assert (caught.value.code, caught.value.exit_code) == ("no-document", 66)
        await edit(device, "put", {"document": NAME, "content": {"a": 1, "b": 2}, "root": "order"})
        await edit(device, "patch", {"document": NAME, "content": {"b": None}})
        got = await edit(device, "get", {"document": NAME})
        assert got == {"document": NAME, "content": {"order": {"a": 1}}, "fields": {"a": 1}}
        assert (await edit(device, "get", {"document": NAME, "root": "x"}))["fields"] == {}


@pytest.mark.parametrize(
    ("verb", "arguments", "said"),
    [
        ("put", {"document": NAME}, "put needs content: an object"),
        ("patch", {"document": NAME}, "patch needs content"),
        ("get", {}, "get needs document"),
        ("put", {"document": NAME, "content": {}, "rooot": "x"}, "does not take 'rooot'"),
        ("get", {"document": NAME, "content": {}}, "does not take 'content'"),
        ("put", {"document": 7, "content": {}}, "document is a text"),
        ("put", {"document": NAME, "content": []}, "content is an object"),
        ("get", {"document": NAME, "root": None}, "root is a text"),
    ],
)
@asynchronous
async def test_a_request_that_is_not_whole_changes_nothing(
    verb: str, arguments: dict[str, Any], said: str
) -> None:
    async with running() as one:
        device = local(one)
        await device.put(NAME, {"a": 1})
        with pytest.raises(GatewayError) as caught:
            await edit(device, verb, arguments)
        assert caught.value.code == "usage" and said in caught.value.sentence
        assert await device.read(NAME) == {"fields": {"a": 1}}
