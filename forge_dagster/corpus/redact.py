"""Personal data and secrets replaced by typed placeholders; what was there is never written down."""

from bisect import bisect

from forge_dagster.corpus import names, pii, secrets
from forge_dagster.stage import FrozenModel


class Span(FrozenModel):
    """What was replaced: kind, and start and end in the text before, in characters."""

    kind: str
    start: int
    end: int


def find(text: str, *, pii_too: bool = True, secrets_too: bool = True, names_too: bool = False) -> list[Span]:
    """Spans in order, none overlapping: secrets before personal data before names, then the longer one."""
    found = [(0, -(end - start), start, end, kind) for kind, start, end in secrets.spans(text)] if secrets_too else []
    if pii_too:
        found += [(1, -(end - start), start, end, kind) for kind, start, end in pii.spans(text)]
    if names_too:
        found += [(2, -(end - start), start, end, kind) for kind, start, end in names.spans(text)]
    taken: list[tuple[int, int, str]] = []  # in order, none overlapping
    for _, _, start, end, kind in sorted(found):
        at = bisect(taken, (start, end, kind))
        if (at == 0 or taken[at - 1][1] <= start) and (at == len(taken) or end <= taken[at][0]):
            taken.insert(at, (start, end, kind))
    return [Span(kind=kind, start=start, end=end) for start, end, kind in taken]


def placeholder(kind: str) -> str:
    """What stands in a value's place; secrets of every kind are one."""
    return f"[{kind}]" if kind.isupper() else "[SECRET]"


def redact(text: str, *, pii: bool = True, secrets: bool = True, names: bool = False) -> tuple[str, list[Span]]:
    """The text with placeholders, and what they replace."""
    spans = find(text, pii_too=pii, secrets_too=secrets, names_too=names)
    pieces, at = [], 0
    for span in spans:
        pieces += [text[at : span.start], placeholder(span.kind)]
        at = span.end
    return "".join([*pieces, text[at:]]), spans
