"""What is left of an update without what it holds in the name of others.

A peer that was itself given forged changes must not lose its own with them. What builds on
something that was taken out is early (``early``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.core.events import Incoming
from gateway.core.facts import Span
from gateway.core.fingerprint import Ranges, write_delete_set, write_varints
from gateway.core.structs import SKIP, Struct, read_update
from gateway.core.varint import write_varint


def remainder(item: Incoming, known: Mapping[int, int]) -> Incoming | None:
    """An inspected update without structs and deletions of these clients beyond a clock.

    The same object if it holds none, None if it holds nothing else.
    """
    facts = item.facts
    if all(end <= known.get(client, end) for client, _, end in (*facts.spans, *facts.deletes)):
        return item
    parsed = read_update(item.update)
    # A struct of which the author knows the beginning comes from the author.
    structs = [s for s in parsed.structs if s.end <= known.get(s.client, s.end)]
    deletes = {
        client: [(start, min(end, known.get(client, end))) for start, end in ranges]
        for client, ranges in parsed.deletes.items()
    }
    deletes = {client: [r for r in ranges if r[0] < r[1]] for client, ranges in deletes.items()}
    deletes = {client: ranges for client, ranges in deletes.items() if ranges}
    spans = _spans(structs)
    if not spans and not deletes:
        return None
    gone = tuple(Span(client, *each) for client, ranges in deletes.items() for each in ranges)
    # ``needs`` may name more than is left: then it is looked at piece by piece.
    left = replace(facts, spans=spans, deletes=gone)
    return replace(item, update=_written(item.update, structs, deletes), facts=left)


def _spans(structs: Sequence[Struct]) -> tuple[Span, ...]:
    spans: list[Span] = []
    for struct in structs:
        if struct.reference == SKIP:
            continue
        if spans and (spans[-1].client, spans[-1].end) == (struct.client, struct.clock):
            spans[-1] = spans[-1]._replace(end=struct.end)
        else:
            spans.append(Span(struct.client, struct.clock, struct.end))
    return tuple(spans)


def _written(update: bytes, structs: Sequence[Struct], deletes: Mapping[int, Ranges]) -> bytes:
    """The update with these structs of it; they follow each other per client."""
    clients: dict[int, list[Struct]] = {}
    for struct in structs:
        clients.setdefault(struct.client, []).append(struct)
    parts = [write_varint(len(clients))]
    for client, some in clients.items():
        parts.append(write_varints((len(some), client, some[0].clock)))
        parts += [update[struct.first : struct.last] for struct in some]
    return b"".join([*parts, write_delete_set(deletes)])
