"""Curation against the truth: precision and recall, with 95 % intervals, of what the hops decide on a dirty company.

`python -m benchmarks quality [DOCUMENTS]`
"""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks import _extraction, _others
from benchmarks._dirty_company import ITEMS, Company, Row, run
from benchmarks._intervals import Count, show
from benchmarks._spans import Span, compare
from forge_dagster.sample.dirt.personal import NATIONAL

DOCUMENTS, SEED, DIRT = "6000", 20, 0.5


def main(size: str = DOCUMENTS) -> None:
    """Print the tables of the dirty company, of public packages, and of extraction."""
    documents = int(size)
    with tempfile.TemporaryDirectory() as folder:
        company = run(documents, SEED, DIRT, Path(folder))
    print(f"Dirty company of {documents:,} documents, seed {SEED}, {DIRT:.0%} planted")
    show("Documents", documents_of(company))
    personal, secret = redactions(company)
    show("Personal data", total(personal))
    show("Secrets (right or wrong is counted over all kinds)", total(secret))
    _others.main()
    _extraction.main()


def total(counts: dict[str, Count]) -> list[tuple[str, Count]]:
    """Rows by kind, the sum last."""
    return [*sorted(counts.items()), ("all", sum(counts.values(), Count()))]


def kind_of(label: str) -> str:
    """The kind that the detectors name for a label's."""
    if label in NATIONAL:
        return "NATIONAL_ID"
    return label if label.isupper() else "SECRET"


def placed(label: Row, text: str) -> list[Span]:
    """Spans of a document's labels in its text before redaction; they stand in the order of the file."""
    spans: list[Span] = []
    at = 0
    for span in label.get("spans", ()):
        start = text.find(span["value"], at)
        if start < 0:
            raise LookupError(f"{label['path']}: a labelled {span['kind']} is not in the parsed text")
        at = start + len(span["value"])
        spans.append((span["kind"], start, at))
    return spans


def redactions(company: Company) -> tuple[dict[str, Count], dict[str, Count]]:
    """Counts of personal data and of secrets by kind, over every document that is kept."""
    personal: dict[str, Count] = defaultdict(Count)
    secret: dict[str, Count] = defaultdict(Count)
    for path, row in company.cleaned.items():
        labels = placed(company.labels[path], company.before[path])
        found = [(_coarse(span["kind"]), span["start"], span["end"]) for span in row["redactions"] or ()]
        for kind, count in compare(labels, found, kind_of).items():
            (personal if kind.isupper() and kind != "SECRET" else secret)[kind] += count
    return personal, secret


def _coarse(kind: str) -> str:
    return kind if kind.isupper() else "SECRET"


def documents_of(company: Company) -> list[tuple[str, Count]]:
    """Counts of what is decided on whole documents and lines."""
    rows = {
        "near-duplicates (twins)": _twins(company),
        "exact duplicates": _recalled(company, "exact-duplicate"),
        "superseded versions": _versions(company),
        "language": _language(company),
        "junk": _junk(company),
        "boilerplate lines": _boilerplate(company),
    }
    for how, count in sorted(_contamination(company).items()):
        rows[f"benchmark items, {how}"] = count
    return list(rows.items())


def _families(company: Company) -> dict[str, str]:
    """Document -> the one that it and its twins and versions stand for."""
    parent: dict[str, str] = {}

    def top(path: str) -> str:
        while path in parent:
            path = parent[path]
        return path

    for path, label in company.labels.items():
        other = label.get("duplicate_of") or label.get("superseded_by")
        if other and top(path) != top(other):
            parent[top(path)] = top(other)
    return {path: top(path) for path in company.labels}


def _chosen(company: Company) -> dict[str, str]:
    """Document -> the one of its cluster that is kept."""
    kept = {row["cluster"]: path for path, row in company.split.items() if row["disposition"] == "kept"}
    return {path: kept[row["cluster"]] for path, row in company.split.items()}


def _twins(company: Company) -> Count:
    """A twin is found if it is in one cluster with its original; a document dropped as a duplicate is right if its
    cluster's kept document is of its family."""
    family, chosen, count = _families(company), _chosen(company), Count()
    for path in company.split:
        label = company.labels[path]
        if label["kind"] == "near-duplicate" and label["duplicate_of"] in chosen:
            together = chosen[path] == chosen[label["duplicate_of"]]
            count += Count(found=together, missed=not together)
        if company.split[path]["reason"] in ("near-duplicate", "exact-duplicate"):
            right = family[path] == family[chosen[path]]
            count += Count(right=right, wrong=not right)
    return count


def _recalled(company: Company, kind: str) -> Count:
    chosen, count = _chosen(company), Count()
    for path in company.split:
        label = company.labels[path]
        if label["kind"] == kind and label["duplicate_of"] in chosen:
            together = chosen[path] == chosen[label["duplicate_of"]]
            count += Count(found=together, missed=not together)
    return count


def _versions(company: Company) -> Count:
    """An old version is found if it is dropped and the newest is kept for it."""
    chosen, count = _chosen(company), Count()
    for path, row in company.split.items():
        label = company.labels[path]
        if label["kind"] == "superseded":
            gone = chosen[path] == label["superseded_by"]
            count += Count(found=gone, missed=not gone)
        if row["reason"] == "superseded":
            right = chosen[path] == label.get("superseded_by")
            count += Count(right=right, wrong=not right)
    return count


def _language(company: Company) -> Count:
    """A page of another language than English is found if it is named; saying so of an English one is wrong."""
    count = Count()
    for path, row in company.cleaned.items():
        truth = company.labels[path].get("language")
        if not truth or row["language"] == "zxx":
            continue
        named = row["language"] == truth
        if truth != "en":
            count += Count(found=named, missed=not named)
        if row["language"] != "en":
            count += Count(right=named, wrong=not named)
    return count


def _junk(company: Company) -> Count:
    count = Count()
    for path, row in company.dispositions.items():
        is_junk = company.labels[path]["kind"] == "junk"
        dropped = row["reason"].startswith("quality:") or row["disposition"] == "quarantined"
        if is_junk:
            count += Count(found=dropped, missed=not dropped)
        if dropped:
            count += Count(right=is_junk, wrong=not is_junk)
    return count


def _lines(text: str) -> Counter[str]:
    return Counter(line.strip() for line in text.split("\n") if line.strip())


def _boilerplate(company: Company) -> Count:
    """Planted lines that are gone, and lines gone that were not planted; particulars of the sample are letterhead."""
    count = Count()
    for path, text in company.before.items():
        gone = _lines(company.untouched[path]) - _lines(text)
        planted: Counter[str] = Counter(company.labels[path].get("boilerplate", ()))
        count += Count(found=(gone & planted).total(), missed=(planted - gone).total())
        for line in gone.elements():
            right = line in planted or _is_letterhead(line)
            count += Count(right=right, wrong=not right)
    return count


def _is_letterhead(line: str) -> bool:
    """`Company: ...` and `Document: ...` open every page of the sample company."""
    return line.lstrip("-* ").startswith(("Company: ", "Document: "))


def _contamination(company: Company) -> dict[str, Count]:
    """By how the item came into the document; only what would be trained on is looked through."""
    counts: dict[str, Count] = defaultdict(Count)
    for path, row in company.corpus.items():
        label = company.labels[path]
        if company.split[path]["split"] != "train":
            continue
        if label.get("item"):
            dropped = row["reason"].startswith("contaminated:")
            counts[label["how"]] += Count(found=dropped, missed=not dropped)
        if row["reason"] == f"contaminated:{ITEMS}":
            right = bool(label.get("item"))
            counts[label.get("how", "verbatim") if right else "verbatim"] += Count(right=right, wrong=not right)
    return counts


def errors(company: Company) -> Iterator[str]:
    """What was missed and what was taken without need, for reading."""
    from benchmarks._spans import covered, touches

    for path, row in company.cleaned.items():
        text = company.before[path]
        labels = placed(company.labels[path], text)
        found = [(_coarse(span["kind"]), span["start"], span["end"]) for span in row["redactions"] or ()]
        for label in labels:
            if not covered(label, [span for span in found if span[0] == kind_of(label[0])]):
                yield f"missed {label[0]} in {path}: {text[max(0, label[1] - 40) : label[2] + 20]!r}"
        for span in found:
            if not any(touches(label, span) and kind_of(label[0]) == span[0] for label in labels):
                yield f"wrong {span[0]} in {path}: {text[max(0, span[1] - 40) : span[2] + 20]!r}"


if __name__ == "__main__":
    main()
