"""What the guard says of an update, told from its structs; and updates made by hand."""

from collections.abc import Iterable

from gateway.core.document import Applied, Document
from gateway.core.guard import Span, UpdateFacts
from gateway.core.structs import SKIP, read_update


def facts_of(update: bytes) -> UpdateFacts:
    """The facts of a sound update."""
    read = read_update(update)
    spans: list[Span] = []
    needs: dict[int, int] = {}
    for struct in read.structs:
        if struct.reference == SKIP:
            continue
        last = spans[-1] if spans else None
        if last and (last.client, last.end) == (struct.client, struct.clock):
            spans[-1] = Span(struct.client, last.start, struct.end)
        else:
            spans.append(Span(struct.client, struct.clock, struct.end))
        for cause in (struct.origin, struct.right_origin, struct.parent):
            if isinstance(cause, tuple):
                needs[cause[0]] = max(needs.get(cause[0], 0), cause[1] + 1)
    deletes = [
        Span(client, start, end) for client, ranges in read.deletes.items() for start, end in ranges
    ]
    for span in deletes:
        needs[span.client] = max(needs.get(span.client, 0), span.end)
    roots = frozenset(s.parent for s in read.structs if isinstance(s.parent, str))
    return UpdateFacts(tuple(spans), tuple(deletes), needs, roots, len(read.structs))


def apply(document: Document, *updates: bytes) -> Applied:
    """Apply updates as one batch."""
    return document.apply([(update, facts_of(update)) for update in updates])


def document_of(updates: Iterable[bytes]) -> Document:
    """A document that got these updates one by one."""
    document = Document("tests/one")
    for update in updates:
        apply(document, update)
    return document
