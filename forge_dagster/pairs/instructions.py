"""Instructions: question and answer pairs that the training documents themselves contain, found by rules."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.chance import point
from forge_dagster.corpus.words import words
from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.pairs.extraction import LONGEST_ANSWER, LONGEST_QUESTION, RULES
from forge_dagster.pairs.sections import Document
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
SHORTEST_QUESTION = 8  # characters
FEWEST = 8  # rows from which a model can be taught a form
BOILERPLATE = 0.1  # share of documents from which a key is the letterhead and no knowledge
READ = 1024  # documents at once
BOILERPLATE_FROM = 10  # documents; fewer say nothing about what is common

Place = tuple[str, str]
"""Source and path of a document."""


class InstructionsConfig(FrozenModel):
    """How many pairs are kept, and how many of them are held out."""

    seed: int
    held_out_share: float = Field(gt=0, lt=0.5)
    most_rows: int = Field(ge=FEWEST)


@dataclass
class Found:
    """One question with every answer the documents give to it."""

    question: str
    answer: str
    rule: str
    told_at: Place
    """The first document that tells it, by source and path; its wording is taken."""
    documents: dict[str, Place] = field(default_factory=dict)
    disputed: bool = False

    @property
    def document_ids(self) -> list[str]:
        """Documents that tell it, in the order of their places."""
        return sorted(self.documents, key=lambda name: self.documents[name])

    @property
    def group(self) -> str:
        """Rows with one answer stay on one side: they may ask the same in other words."""
        return " ".join(words(self.answer))


def _fits(question: str, answer: str) -> bool:
    return (
        SHORTEST_QUESTION <= len(question) <= LONGEST_QUESTION
        and 0 < len(answer) <= LONGEST_ANSWER
        and any(character.isalnum() for character in answer)
        and "\n" not in question + answer
    )


def collect(documents: Iterable[dict[str, Any]], total: int, context: StageContext) -> list[Found]:
    """Undisputed pairs, one a question in the order of the questions, whatever the order of the `total` documents.

    A question that documents answer in two ways is left out, and so is a key that much of the documents carry.
    """
    found: dict[str, Found] = {}
    asked_in: dict[str, set[str]] = defaultdict(set)
    for number, document in enumerate(documents, start=1):
        read, place = Document(document["title"], document["text"]), (document["source"], document["path"])
        for rule, extract in RULES.items():
            for question, answer in extract(read):
                if not _fits(question, answer):
                    continue
                key = " ".join(words(question))
                pair = found.setdefault(key, Found(question, answer, rule, place))
                pair.disputed |= words(pair.answer) != words(answer)
                if place < pair.told_at:
                    pair.question, pair.answer, pair.rule, pair.told_at = question, answer, rule, place
                pair.documents.setdefault(document["id"], place)
                if rule == "key-value":
                    asked_in[question.partition(" of ")[0]].add(document["id"])
        context.progress(number, total, "documents")
        if context.cancelled():
            raise InterruptedRun("making the instructions stopped", mend="run the same command again")
    limit = BOILERPLATE * total if total >= BOILERPLATE_FROM else total
    common = {asked for asked, ids in asked_in.items() if len(ids) > limit}
    return [
        pair
        for _, pair in sorted(found.items())
        if not pair.disputed and not (pair.rule == "key-value" and pair.question.partition(" of ")[0] in common)
    ]


def held_out(groups: set[str], config: InstructionsConfig) -> set[str]:
    """Groups by their point alone, never none and never all."""
    points = {group: point(config.seed + 1, group) for group in groups}
    ordered = sorted(groups, key=lambda group: (points[group], group))
    chosen = {group for group in ordered if points[group] < config.held_out_share} or set(ordered[:1])
    return chosen - ({ordered[-1]} if len(ordered) > 1 else set())


def run(inputs: Mapping[str, Path], config: InstructionsConfig, out: Path, context: StageContext) -> Report:
    """Write rows.parquet. Raises DataError if the documents hold too few pairs."""
    file = pq.ParquetFile(inputs["corpus"] / "train.parquet")
    batches = file.iter_batches(batch_size=READ, columns=["id", "source", "path", "title", "text"])
    total = file.metadata.num_rows
    found = collect((row for batch in batches for row in batch.to_pylist()), total, context)
    groups = {pair.group for pair in found}
    if len(found) < FEWEST or len(groups) < 2:
        raise DataError(
            f"{len(found)} question and answer pairs, {len(groups)} different answers in {total} documents",
            rule=f"at least {FEWEST} pairs and two answers to teach a form; rules: {', '.join(RULES)}",
            mend="add an FAQ or documents with headings, or leave sft, preference and rl out of the recipe",
        )
    order = {rule: number for number, rule in enumerate(RULES)}
    found.sort(key=lambda pair: (order[pair.rule], point(config.seed, pair.question), pair.question))
    chosen = sorted(found[: config.most_rows], key=lambda pair: pair.question)
    aside = held_out({pair.group for pair in chosen}, config)
    rows = [
        {
            "question": pair.question,
            "answer": pair.answer,
            "rule": pair.rule,
            "document_ids": pair.document_ids,
            "split": "held_out" if pair.group in aside else "train",
        }
        for pair in chosen
    ]
    pq.write_table(pa.Table.from_pylist(rows, ROWS), out / "rows.parquet", compression="zstd")
    by_rule = Counter(pair.rule for pair in chosen)
    return Report(
        counts={
            "rows": len(rows),
            "found": len(found),
            "held_out": sum(row["split"] == "held_out" for row in rows),
            **{rule: by_rule[rule] for rule in RULES},
        }
    )


def check(content: Path) -> list[Finding]:
    """Questions are unique, both splits are there, no answer is on both, every row names its documents."""
    rows = pq.read_table(content / "rows.parquet").to_pylist()
    questions = {" ".join(words(row["question"])) for row in rows}
    splits = sorted({row["split"] for row in rows})
    sides: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        sides[" ".join(words(row["answer"]))].add(row["split"])
    leaks = sorted(answer for answer, found in sides.items() if len(found) > 1)
    orphans = sum(not row["document_ids"] for row in rows)
    return [
        Finding(name="questions_are_unique", passed=len(questions) == len(rows), observed={"rows": len(rows)}),
        Finding(name="some_rows_are_held_out", passed=splits == ["held_out", "train"], observed={"splits": splits}),
        Finding(name="no_answer_is_on_both_sides", passed=not leaks, observed={"leaks": leaks[:5]}),
        Finding(name="rows_name_their_documents", passed=not orphans, observed={"without": orphans}),
    ]


STAGE = Stage(
    run=run,
    check=check,
    check_names=(
        "questions_are_unique",
        "some_rows_are_held_out",
        "no_answer_is_on_both_sides",
        "rows_name_their_documents",
    ),
)
