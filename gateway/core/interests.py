"""A subscription as people write it: ``collection`` or ``collection selector``."""

import json

from gateway.core.errors import Code, GatewayError, PeerError
from gateway.core.names import check_name
from gateway.core.selections import Interest
from gateway.core.selector import Selector

EX_USAGE = 64
# Of what is wrong in a selector.
SHOWN_CHARACTERS = 20


def interest_of(text: str) -> Interest:
    """What is subscribed to. Raises ``GatewayError`` ``subscription``."""
    collection, selector = (*text.split(maxsplit=1), "", "")[:2]
    selector = selector.strip()
    try:
        if not collection or any(sign in collection for sign in '{"*/'):
            sentence = "first comes a collection such as orders, then a blank, then the selector"
            raise PeerError(Code.BAD_NAME, sentence)
        check_name(f"{collection}/x")
        Selector(selector)
    except PeerError as error:
        reason = (error.code is Code.MALFORMED and _not_json(selector)) or error.reason
        sentence = f"cannot subscribe to {text!r}: {reason}"
        raise GatewayError("subscription", sentence, EX_USAGE) from error
    return Interest(collection, selector)


def _not_json(selector: str) -> str:
    """Where a selector is not JSON; "" if it is."""
    try:
        json.loads(selector)
    except json.JSONDecodeError as error:
        rest = error.doc[error.pos :][:SHOWN_CHARACTERS]
        place = f"at {rest!r}, character {error.pos + 1} of it" if rest else "at its end"
        return f"the selector is not JSON {place}: {error.msg.lower()}"
    return ""
