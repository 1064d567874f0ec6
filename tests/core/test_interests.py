"""Subscriptions as people write them."""

import pytest

from gateway.core.errors import GatewayError
from gateway.core.interests import interest_of


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"station": "grill"}', "first comes a collection such as orders"),
        ('orders{"station": "grill"}', "first comes a collection"),
        ("*", "first comes a collection"),
        ("", "first comes a collection"),
        ("orders/1", "first comes a collection"),
        ("orders {station: grill}", "not JSON at 'station: grill}', character 2 of it: expecting"),
        ('orders {"station": "grill"', "not JSON at its end: expecting"),
        ("orders []", "a selector is an object"),
        ("orders " + "[" * 4_000, "nested deeper"),
        ("orders {station: 1" + "0" * 400 + "}", "not JSON at"),
        ('orders {"n": 1' + "0" * 400 + "}", "a text is not JSON"),
        ("x" * 65, "its collection 64"),
    ],
)
def test_a_mistyped_subscription_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(GatewayError) as caught:
        interest_of(text)
    assert caught.value.code == "subscription" and said in caught.value.sentence, caught.value


@pytest.mark.parametrize("blank", [" ", "\t", "  \n ", "\N{NO-BREAK SPACE}"])
def test_any_blank_stands_between_collection_and_selector(blank: str) -> None:
    text = f' orders{blank}{{"station": "grill"}} '
    interest = interest_of(text)
    assert (interest.collection, interest.selector) == ("orders", '{"station": "grill"}')
    assert interest_of("orders").selector == ""
