"""Preferences: for each instruction an answer that keeps the policy, and one that breaks it or is wrong."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.corpus.duplicates import words
from forge_dagster.errors import DataError
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


class PreferencesConfig(FrozenModel):
    """Which policy the chosen answers keep, and how many pairs are made."""

    seed: int
    policy: Policy
    most_rows: int = Field(ge=1)


def _pick(seed: int, text: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{text}".encode()).digest()[:8]) % size


def run(inputs: Mapping[str, Path], config: PreferencesConfig, out: Path, context: StageContext) -> Report:
    """Write rows.parquet: rule `form` rejects the bare answer, rule `fact` another row's answer in form.

    Raises DataError if no pair can be made.
    """
    instructions = pq.read_table(inputs["instructions"] / "rows.parquet").to_pylist()
    train = [row for row in instructions if row["split"] == "train"]
    by_rule: dict[str, list[str]] = {}
    for row in train:
        by_rule.setdefault(row["rule"], []).append(row["answer"])
    pairs: list[dict[str, Any]] = []
    for number, row in enumerate(train, start=1):
        chosen = config.policy.apply(row["answer"])
        others = sorted({answer for answer in by_rule[row["rule"]] if words(answer) != words(row["answer"])})
        rejected = {"form": row["answer"]}
        if others:
            rejected["fact"] = config.policy.apply(others[_pick(config.seed, row["question"], len(others))])
        pairs += [
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
        context.progress(number, len(train))
    if not pairs:
        raise DataError(
            f"no pair from {len(train)} instructions",
            rule="a pair has two different answers",
            mend="add documents with questions and answers",
        )
    pairs.sort(key=lambda row: _pick(config.seed, row["prompt"] + row["rule"], 2**32))
    kept = sorted(pairs[: config.most_rows], key=lambda row: (row["prompt"], row["rule"]))
    pq.write_table(pa.Table.from_pylist(kept, ROWS), out / "rows.parquet", compression="zstd")
    counts = {rule: sum(row["rule"] == rule for row in kept) for rule in ("form", "fact")}
    return Report(counts={"rows": len(kept), **counts})


def check(content: Path) -> list[Finding]:
    """No pair prefers an answer to itself."""
    rows = pq.read_table(content / "rows.parquet").to_pylist()
    same = sum(row["chosen"] == row["rejected"] for row in rows)
    return [Finding(name="pairs_differ", passed=bool(rows) and not same, observed={"rows": len(rows), "same": same})]


STAGE = Stage(run=run, check=check, check_names=("pairs_differ",))
