"""What a peer says, made fit to be shown or logged."""

# The page stays readable and the answer small.
SHORT = 64


def shown(text: str, most: int = SHORT) -> str:
    """At most so many characters, those that print."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:most])
