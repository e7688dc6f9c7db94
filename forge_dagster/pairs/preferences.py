"""Preferences: for each instruction an answer that keeps the policy, and one that breaks it or is wrong."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.chance import number
from forge_dagster.corpus.words import words
from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.policy import Policy
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext

ROWS = pa.schema(
    [
        ("prompt", pa.string()),
        ("chosen", pa.string()),
        ("rejected", pa.string()),
        ("rule", pa.string()),
        ("document_ids", pa.list_(pa.string())),
    ]
)
FEWEST = 8  # pairs from which a preference can be learnt


class PreferencesConfig(FrozenModel):
    """Which policy the chosen answers keep, and how many pairs are made."""

    seed: int
    policy: Policy
    most_rows: int = Field(ge=FEWEST)


def _said(answer: str) -> str:
    return " ".join(words(answer))


def _pairs(row: dict[str, Any], others: list[tuple[str, str]], config: PreferencesConfig) -> list[dict[str, Any]]:
    """The pairs of one instruction; `others` are (words, answer) found by the same rule, in order."""
    chosen = config.policy.apply(row["answer"])
    if not config.policy.holds(chosen):
        return []
    rejected = {"form": row["answer"]}
    start = number(config.seed, row["question"])
    for step in range(len(others)):
        said, answer = others[(start + step) % len(others)]
        if said != _said(row["answer"]):
            rejected["fact"] = config.policy.apply(answer)
            break
    return [
        {
            "prompt": row["question"],
            "chosen": chosen,
            "rejected": answer,
            "rule": rule,
            "document_ids": row["document_ids"],
        }
        for rule, answer in rejected.items()
        if answer != chosen
    ]


def run(inputs: Mapping[str, Path], config: PreferencesConfig, out: Path, context: StageContext) -> Report:
    """Write rows.parquet: rule `form` rejects the bare answer, rule `fact` another row's answer in form.

    Only training instructions are used. Raises DataError if too few pairs can be made.
    """
    instructions = pq.read_table(inputs["instructions"] / "rows.parquet").to_pylist()
    train = [row for row in instructions if row["split"] == "train"]
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for row in train:
        answers[row["rule"]].setdefault(_said(row["answer"]), row["answer"])
    others = {rule: sorted(found.items()) for rule, found in answers.items()}
    pairs: list[dict[str, Any]] = []
    for place, row in enumerate(train, start=1):
        pairs += _pairs(row, others[row["rule"]], config)
        context.progress(place, len(train), "instructions")
        if context.cancelled():
            raise InterruptedRun("making the preferences stopped", mend="run the same command again")
    if len(pairs) < FEWEST:
        raise DataError(
            f"{len(pairs)} pairs from {len(train)} instructions",
            rule=f"at least {FEWEST}, each of two different answers, the better one in the form {config.policy.form!r}",
            mend="add documents with questions and answers, or loosen `form` in the policy",
        )
    pairs.sort(key=lambda row: (number(config.seed, row["prompt"] + row["rule"]), row["prompt"], row["rule"]))
    kept = sorted(pairs[: config.most_rows], key=lambda row: (row["prompt"], row["rule"]))
    pq.write_table(pa.Table.from_pylist(kept, ROWS), out / "rows.parquet", compression="zstd")
    by_rule = Counter(row["rule"] for row in kept)
    return Report(counts={"rows": len(kept), "found": len(pairs), "form": by_rule["form"], "fact": by_rule["fact"]})


def check(content: Path) -> list[Finding]:
    """No pair prefers an answer to itself, and every pair names its documents."""
    rows = pq.read_table(content / "rows.parquet").to_pylist()
    same = sum(row["chosen"] == row["rejected"] for row in rows)
    orphans = sum(not row["document_ids"] for row in rows)
    return [
        Finding(name="pairs_differ", passed=bool(rows) and not same, observed={"rows": len(rows), "same": same}),
        Finding(name="pairs_name_their_documents", passed=not orphans, observed={"without": orphans}),
    ]


STAGE = Stage(run=run, check=check, check_names=("pairs_differ", "pairs_name_their_documents"))
