"""Personal data, secrets and names in documents that others wrote: passages of public packages, judged by hand.

`labels/passages.jsonl` holds the judgements: package, version, file, SHA-256 of its text, offsets of the passage and
of each value with its kind; never the value. `?` marks what a reader could not decide. Strata `held-out/*` were drawn
after the rules were written and changed none of them; the others were read while the rules were improved.
"""

import hashlib
import importlib.util
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks._extraction import package_cache
from benchmarks._intervals import Count, show
from benchmarks._packages import Package, Unavailable, fetched, read
from benchmarks._spans import Span, compare
from forge_dagster.corpus import names
from forge_dagster.corpus.redact import find
from forge_dagster.corpus.text import decode

LABELS = Path(__file__).parent / "labels" / "passages.jsonl"
KEYS = Package("debian", "libpython3.11-testsuite")
HELD_OUT = "held-out/"
Passage = dict[str, Any]


def main() -> None:
    """Print the tables; a package that is not to be had is named with the reason, and its passages are left out."""
    passages = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    with package_cache() as cache:
        texts = _texts(passages, cache)
        judged = [passage for passage in passages if _place(passage) in texts]
        for title, held_out in (("read while the rules were improved", False), ("held out", True)):
            chosen = [each for each in judged if each["stratum"].startswith(HELD_OUT) == held_out]
            found = counts(chosen, texts)
            rows = [*sorted(found.items()), ("all but names", _all(found))]
            show(f"{len(chosen)} passages of public packages, judged by hand, {title}", rows)
        show("Private keys in Python's test suite, by their PEM marks", [("private key", private_keys(cache))])


def _all(found: dict[str, Count]) -> Count:
    return sum((count for kind, count in found.items() if kind != names.KIND), Count())


def _place(passage: Passage) -> tuple[str, str]:
    return passage["package"], passage["file"]


def _texts(passages: list[Passage], cache: Path) -> dict[tuple[str, str], str]:
    """Text of every file that has a passage and is still what it was."""
    texts: dict[tuple[str, str], str] = {}
    for package in sorted({Package(each["archive"], each["package"], each["version"]) for each in passages}):
        own = [each for each in passages if each["package"] == package.name]
        try:
            folder = fetched(package, cache)
        except Unavailable as error:
            print(f"skipped {len(own)} passages of {package.name} {package.version}: {error}")
            continue
        for passage in own:
            data = read(folder / passage["file"])
            if hashlib.sha256(data).hexdigest() != passage["sha256"]:
                print(f"skipped {passage['file']} of {package.name}: not the file that was judged")
                continue
            texts[_place(passage)] = _decoded(data)
    return texts


def _decoded(data: bytes) -> str:
    """The text as it was judged: UTF-8, or Latin-1 where it is none."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def counts(passages: list[Passage], texts: dict[tuple[str, str], str]) -> dict[str, Count]:
    """Counts by kind; each file is read whole, as the hop reads it, and judged within the passages. Names only with
    the extra `ner`."""
    with_names = importlib.util.find_spec("spacy") is not None and importlib.util.find_spec(names.MODEL) is not None
    redacted: dict[tuple[str, str], list[Span]] = {}
    total: dict[str, Count] = defaultdict(Count)
    for passage in passages:
        place, first, last = _place(passage), passage["start"], passage["end"]
        text = texts[place]
        if place not in redacted:
            redacted[place] = [_coarse(span.kind, span.start, span.end) for span in find(text)]
        found = redacted[place]
        if with_names:
            found = found + [
                span for span in _names(text, first, last) if not any(_meet(span, other) for other in found)
            ]
        inside = [
            (kind, max(start, first), min(end, last)) for kind, start, end in found if start < last and first < end
        ]
        labels = [(kind, start, end) for kind, start, end in passage["spans"] if with_names or kind != names.KIND]
        for kind, count in compare(labels, inside, str).items():
            total[kind] += count
    return total


def _names(text: str, first: int, last: int) -> list[Span]:
    """Names in a passage, read alone: a manual of a megabyte need not be read for eight lines."""
    return [(kind, first + start, first + end) for kind, start, end in names.spans(text[first:last])]


def _meet(first: Span, second: Span) -> bool:
    return first[1] < second[2] and second[1] < first[2]


def _coarse(kind: str, start: int, end: int) -> Span:
    return (kind if kind.isupper() else "SECRET", start, end)


def private_keys(cache: Path) -> Count:
    """Every block between the marks of a private key in the test suite's files; a key that is cut off counts too."""
    count = Count()
    try:
        folder = fetched(KEYS, cache)
    except Unavailable as error:
        print(f"skipped the private keys: {error}")
        return count
    for path in sorted(folder.rglob("*.pem")):
        text = decode(path.read_bytes())
        labels, at = [], 0
        while (start := text.find("-----BEGIN ", at)) >= 0:
            at = text.find("\n", start)
            if "PRIVATE KEY" in text[start:at]:
                end = text.find("-----END ", at)
                labels.append(("SECRET", start, text.find("-----", end + 9) + 5 if end >= 0 else len(text.rstrip())))
        found = [_coarse(span.kind, span.start, span.end) for span in find(text, pii_too=False)]
        count += compare(labels, found, str)["SECRET"]
    return count


if __name__ == "__main__":
    main()
