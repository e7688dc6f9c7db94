"""Instructions: question and answer pairs that the training documents themselves contain, found by rules."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.corpus.duplicates import words
from forge_dagster.errors import DataError
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext

ROWS = pa.schema(
    [
        ("question", pa.string()),
        ("answer", pa.string()),
        ("rule", pa.string()),
        ("document_ids", pa.list_(pa.string())),
        ("split", pa.string()),
    ]
)
SHORTEST_QUESTION, LONGEST_QUESTION = 8, 160  # characters
LONGEST_ANSWER = 160  # characters
FEWEST = 8  # rows from which a model can be taught a form

FAQ = re.compile(
    r"^\W{0,4}Q(?:uestion)?[:.]\W{0,4}(?P<q>[^\n]+?)\W{0,2}\n+\W{0,4}A(?:nswer)?[:.]\W{0,4}(?P<a>[^\n]+)", re.M
)
HEADING_QUESTION = re.compile(r"^#{1,6} *(?:[\d.]+ +)?(?P<q>[^\n?]{6,150}\?)[^\n]*\n+(?P<a>[^\n#|-][^\n]+)", re.M)
HEADING = re.compile(r"^#{1,6} *(?:[\d.]+ +)?(?P<h>[^\n?|]{4,80}?)\W*\n+(?P<a>[A-Z][^\n#|]+)", re.M)
SENTENCE = re.compile(r"(?P<s>.+?[.!])(?:\s|$)")

Pair = tuple[str, str]


class InstructionsConfig(FrozenModel):
    """How many pairs are kept, and how many of them are held out."""

    seed: int
    held_out_share: float = Field(gt=0, lt=0.5)
    most_rows: int = Field(ge=FEWEST)


def first_sentence(text: str) -> str:
    """First sentence of a paragraph, or the paragraph if it has no end."""
    match = SENTENCE.match(text.strip())
    return (match["s"] if match else text).strip()


def faq(text: str, title: str) -> Iterator[Pair]:
    """Lines `Q: ...` followed by `A: ...`."""
    return ((match["q"].strip().rstrip("?") + "?", match["a"].strip()) for match in FAQ.finditer(text))


def heading_question(text: str, title: str) -> Iterator[Pair]:
    """Headings that ask, answered by their paragraph's first sentence."""
    return ((match["q"].strip(), first_sentence(match["a"])) for match in HEADING_QUESTION.finditer(text))


def heading_topic(text: str, title: str) -> Iterator[Pair]:
    """Headings that name a topic, answered by their section's first sentence."""
    for match in HEADING.finditer(text):
        yield f"What does the section {match['h'].strip()!r} say?", first_sentence(match["a"])


RULES: dict[str, Callable[[str, str], Iterator[Pair]]] = {
    "faq": faq,
    "heading-question": heading_question,
    "heading-topic": heading_topic,
}
"""In order of preference: the first rules are kept when there are more rows than asked for."""


def _point(seed: int, text: str) -> float:
    """A number in [0, 1) that only seed and text decide."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{text}".encode()).digest()[:8]) / 2**64


def _collect(documents: list[dict[str, Any]], context: StageContext) -> dict[str, dict[str, Any]]:
    """Pairs by normalised question; a question with two different answers is none."""
    found: dict[str, dict[str, Any]] = {}
    disputed: set[str] = set()
    for number, document in enumerate(documents, start=1):
        for rule, extract in RULES.items():
            for question, answer in extract(document["text"], document["title"]):
                if not SHORTEST_QUESTION <= len(question) <= LONGEST_QUESTION or not 0 < len(answer) <= LONGEST_ANSWER:
                    continue
                key = " ".join(words(question))
                row = found.setdefault(key, {"question": question, "answer": answer, "rule": rule, "document_ids": []})
                if words(row["answer"]) != words(answer):
                    disputed.add(key)
                if document["id"] not in row["document_ids"]:
                    row["document_ids"].append(document["id"])
        context.progress(number, len(documents))
    return {key: row for key, row in found.items() if key not in disputed}


def run(inputs: Mapping[str, Path], config: InstructionsConfig, out: Path, context: StageContext) -> Report:
    """Write rows.parquet. Raises DataError if the documents hold too few pairs."""
    documents = pq.read_table(inputs["corpus"] / "train.parquet").to_pylist()
    found = _collect(documents, context)
    if len(found) < FEWEST:
        raise DataError(
            f"{len(found)} question and answer pairs in {len(documents)} documents",
            rule=f"at least {FEWEST} to teach a form; rules: {', '.join(RULES)}",
            mend="add an FAQ or documents with headings, or leave sft, preference and rl out of the recipe",
        )
    order = {rule: number for number, rule in enumerate(RULES)}
    chosen = sorted(found, key=lambda key: (order[found[key]["rule"]], _point(config.seed, key)))[: config.most_rows]
    rows = [
        {**found[key], "split": "held_out" if _point(config.seed + 1, key) < config.held_out_share else "train"}
        for key in sorted(chosen)
    ]
    pq.write_table(pa.Table.from_pylist(rows, ROWS), out / "rows.parquet", compression="zstd")
    by_rule = {rule: sum(row["rule"] == rule for row in rows) for rule in RULES}
    held_out = sum(row["split"] == "held_out" for row in rows)
    return Report(counts={"rows": len(rows), "found": len(found), "held_out": held_out, **by_rule})


def check(content: Path) -> list[Finding]:
    """Questions are unique, both splits are there, every row names its documents."""
    rows = pq.read_table(content / "rows.parquet").to_pylist()
    questions = {row["question"] for row in rows}
    splits = sorted({row["split"] for row in rows})
    orphans = sum(not row["document_ids"] for row in rows)
    return [
        Finding(name="questions_are_unique", passed=len(questions) == len(rows), observed={"rows": len(rows)}),
        Finding(name="some_rows_are_held_out", passed=splits == ["held_out", "train"], observed={"splits": splits}),
        Finding(name="rows_name_their_documents", passed=not orphans, observed={"without": orphans}),
    ]


STAGE = Stage(
    run=run, check=check, check_names=("questions_are_unique", "some_rows_are_held_out", "rows_name_their_documents")
)
