"""Instructions: questions with answers, by rules from the training documents, by a model, and from people."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from forge_dagster.chance import point
from forge_dagster.corpus.words import words
from forge_dagster.errors import DataError
from forge_dagster.pairs.extraction import RULES
from forge_dagster.pairs.found import READ, Found, collect
from forge_dagster.pairs.given import Conversation, read_lines
from forge_dagster.provenance.code_version import code_version
from forge_dagster.provenance.files import sha256_file
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext

TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
ROWS = pa.schema(
    [
        *((name, pa.string()) for name in ("question", "answer", "rule")),
        ("document_ids", pa.list_(pa.string())),
        ("split", pa.string()),
        ("generator", pa.string()),
        ("prompt_digest", pa.string()),
        ("history", pa.list_(TURN)),
    ]
)
"""`generator`: digest of the rules' code, of the model, or of the file; `history`: turns before the question."""
FEWEST = 8  # rows from which a model can be taught a form
MODEL, GIVEN = "model", "given"

Row = dict[str, Any]


class InstructionsConfig(FrozenModel):
    """How many pairs are made from the documents, in what mixture, and how many of all are held out.

    What people bring is kept whole; `most_rows` and `shares` are of the rest.
    """

    seed: int
    held_out_share: float = Field(gt=0, lt=0.5)
    most_rows: int = Field(ge=FEWEST)
    shares: Mapping[str, float] = Field(
        description="of each rule, and of `model`, among most_rows; what one leaves free the others take"
    )

    @model_validator(mode="after")
    def every_rule_has_a_share(self) -> "InstructionsConfig":
        if set(self.shares) != {*RULES, MODEL} or not all(share > 0 for share in self.shares.values()):
            raise ValueError(f"shares = {dict(self.shares)}: a positive number for each of {', '.join(RULES)}, {MODEL}")
        return self


def allotted(available: Mapping[str, int], shares: Mapping[str, float], most: int) -> dict[str, int]:
    """How many of each kind are taken: by share; what a kind cannot fill goes to the others by their shares."""
    taken = dict.fromkeys(available, 0)
    open_kinds = [kind for kind in available if available[kind]]
    room = most
    while open_kinds and room:
        total = sum(shares[kind] for kind in open_kinds)
        due = {kind: room * shares[kind] / total for kind in open_kinds}
        full = [kind for kind in open_kinds if available[kind] <= due[kind]]
        for kind in full or open_kinds:
            taken[kind] = available[kind] if kind in full else int(due[kind])
        room = most - sum(taken.values())
        if not full:
            for kind in open_kinds[:room]:  # what rounding left
                taken[kind] += 1
            break
        open_kinds = [kind for kind in open_kinds if kind not in full]
    return taken


def held_out(groups: set[str], config: InstructionsConfig) -> set[str]:
    """Groups by their point alone, never none and never all."""
    points = {group: point(config.seed + 1, group) for group in groups}
    ordered = sorted(groups, key=lambda group: (points[group], group))
    chosen = {group for group in ordered if points[group] < config.held_out_share} or set(ordered[:1])
    return chosen - ({ordered[-1]} if len(ordered) > 1 else set())


def run(inputs: Mapping[str, Path], config: InstructionsConfig, out: Path, context: StageContext) -> Report:
    """Write rows.parquet. Raises DataError if there are too few pairs, or naming a line of a file that breaks a rule.

    Of two answers to one question people's come first, then the documents', then a model's.
    """
    counts: Counter[str] = Counter()
    given = _once(_given(inputs), set(), counts)
    asked = {_key(row) for row in given}
    extracted = _once(_extracted(inputs["corpus"], context), asked, counts)
    written = _once(_written(inputs), asked | {_key(row) for row in extracted}, counts)
    by_kind: dict[str, list[Row]] = {kind: [] for kind in (*RULES, MODEL)}
    for row in (*extracted, *written):
        by_kind[MODEL if row["rule"].startswith(MODEL) else row["rule"]].append(row)
    made = sum(map(len, by_kind.values()))
    take = allotted({kind: len(rows) for kind, rows in by_kind.items()}, config.shares, config.most_rows)
    for kind, rows in by_kind.items():
        rows.sort(key=lambda row: (point(config.seed, row["question"]), row["question"]))
        by_kind[kind] = rows[: take[kind]]
    chosen = sorted([*given, *(row for rows in by_kind.values() for row in rows)], key=_order)
    groups = {_said(row) for row in chosen}
    if len(chosen) < FEWEST or len(groups) < 2:
        raise DataError(
            f"{len(chosen)} question and answer pairs, {len(groups)} different answers",
            rule=f"at least {FEWEST} pairs and two answers to teach a form; rules: {', '.join(RULES)}",
            mend="add an FAQ or documents with headings, or leave sft, preference and rl out of the recipe",
        )
    aside = held_out(groups, config)
    for row in chosen:
        row["split"] = "held_out" if _said(row) in aside else "train"
    pq.write_table(pa.Table.from_pylist(chosen, ROWS), out / "rows.parquet", compression="zstd")
    kinds = {kind: len(rows) for kind, rows in by_kind.items()} | {GIVEN: len(given)}
    return Report(
        counts={
            "rows": len(chosen),
            "found": made,
            "held_out": sum(row["split"] == "held_out" for row in chosen),
            **kinds,
            **dict(sorted(counts.items())),
        },
        metrics={f"share/{kind}": count / len(chosen) for kind, count in kinds.items()},
    )


def _given(inputs: Mapping[str, Path]) -> list[Row]:
    """Every answer of every conversation, with what was said before it."""
    rows = []
    for name, path in sorted(inputs.items()):
        if not name.startswith("given/"):
            continue
        digest = sha256_file(path)
        for _, line in read_lines(path, Conversation):
            turns = [turn.model_dump() for turn in line.messages]
            rows += [
                _row(turns[place - 1]["content"], turns[place]["content"], name, [digest], digest)
                | {"history": turns[: place - 1]}
                for place in range(1, len(turns), 2)
            ]
    return rows


def _extracted(corpus: Path, context: StageContext) -> list[Row]:
    file = pq.ParquetFile(corpus / "train.parquet")
    batches = file.iter_batches(batch_size=READ, columns=["id", "source", "path", "title", "text"])
    found: Sequence[Found] = collect(
        (row for batch in batches for row in batch.to_pylist()), file.metadata.num_rows, context
    )
    generator = code_version("forge_dagster.pairs.extraction")
    return [_row(pair.question, pair.answer, pair.rule, pair.document_ids, generator) for pair in found]


def _written(inputs: Mapping[str, Path]) -> list[Row]:
    rows = []
    for name, folder in sorted(inputs.items()):
        if name.startswith("generated/"):
            for row in pq.read_table(folder / "rows.parquet").to_pylist():
                made = _row(row["question"], row["answer"], f"{MODEL}/{name.partition('/')[2]}", [row["document_id"]],
                            row["generator"])  # fmt: skip
                rows.append(made | {"prompt_digest": row["prompt_digest"]})
    return rows


def _row(question: str, answer: str, rule: str, ids: list[str], generator: str) -> Row:
    made = {"question": question, "answer": answer, "rule": rule, "document_ids": ids, "generator": generator}
    return {**made, "prompt_digest": "", "history": []}


def _once(rows: Iterable[Row], asked: set[str], counts: Counter[str]) -> list[Row]:
    """Rows whose question was not asked before."""
    seen = set(asked)
    kept = []
    for row in rows:
        if (key := _key(row)) in seen:
            counts["asked_already"] += 1
        else:
            seen.add(key)
            kept.append(row)
    return kept


def _key(row: Row) -> str:
    """What is asked, and what was said before."""
    return "\n".join(" ".join(words(text)) for text in (*(turn["content"] for turn in row["history"]), row["question"]))


def _said(row: Row) -> str:
    """Rows with one answer stay on one side: they may ask the same in other words."""
    return " ".join(words(row["answer"]))


def _order(row: Row) -> tuple[str, str]:
    return row["question"], _key(row)


def check(content: Path) -> list[Finding]:
    """Questions are unique, both splits are there, no answer is on both, every row names its documents and maker."""
    rows = pq.read_table(content / "rows.parquet").to_pylist()
    questions = {_key(row) for row in rows}
    splits = sorted({row["split"] for row in rows})
    sides: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        sides[_said(row)].add(row["split"])
    leaks = sorted(answer for answer, found in sides.items() if len(found) > 1)
    orphans = sum(not (row["document_ids"] and row["generator"]) for row in rows)
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
