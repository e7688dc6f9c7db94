"""Preferences: better answers beside worse ones, of the form, of facts, of every policy, and from people."""

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
from forge_dagster.pairs.given import Preference, read_lines
from forge_dagster.pairs.instructions import GIVEN
from forge_dagster.policy import Policy
from forge_dagster.policy_kinds import policy_settings
from forge_dagster.provenance.files import sha256_file
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext

ROWS = pa.schema(
    [
        *((name, pa.string()) for name in ("prompt", "chosen", "rejected", "rule")),
        ("document_ids", pa.list_(pa.string())),
    ]
)
FEWEST = 8  # pairs from which a preference can be learnt

Row = dict[str, Any]


class PreferencesConfig(FrozenModel):
    """Which policy gives answers their form, how many pairs are made, and how many of these are of the other policies.

    What people bring is kept whole; `most_rows` and `policy_share` are of the rest.
    """

    seed: int
    policy: Policy
    most_rows: int = Field(ge=FEWEST)
    policy_share: float = Field(ge=0, lt=1)


def _said(answer: str) -> str:
    return " ".join(words(answer))


def _pairs(row: Row, others: list[tuple[str, str]], config: PreferencesConfig, counts: Counter[str]) -> list[Row]:
    """The pairs of one instruction; `others` are (words, answer) found by the same rule, in order."""
    form = policy_settings(config.policy)
    chosen = form.apply(row["answer"])
    if not form.holds(chosen):
        counts["out_of_form"] += 1
        return []
    rejected = {"form": row["answer"]}
    start = number(config.seed, row["question"])
    for step in range(len(others)):
        said, answer = others[(start + step) % len(others)]
        if said != _said(row["answer"]):
            rejected["fact"] = form.apply(answer)
            break
    return [_row(row["question"], chosen, answer, rule, row["document_ids"]) for rule, answer in rejected.items()]


def _row(prompt: str, chosen: str, rejected: str, rule: str, ids: list[str]) -> Row:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected, "rule": rule, "document_ids": ids}


def run(inputs: Mapping[str, Path], config: PreferencesConfig, out: Path, context: StageContext) -> Report:
    """Write rows.parquet. Rule `form` rejects the bare answer, `fact` another row's answer in form, `policy/NAME` what
    breaks that policy, `given/NAME` what people rejected.

    Only training instructions and training items are used. Raises DataError if too few pairs can be made.
    """
    counts: Counter[str] = Counter()
    made = _drawn(_different(_of_instructions(inputs, config, context, counts), counts), config)
    policies = _drawn(_different(_of_policies(inputs), counts), config)
    given = _different(_given(inputs), counts)
    most = min(len(policies), int(config.most_rows * config.policy_share))
    kept = [*made[: config.most_rows - most], *policies[:most], *given]
    if len(kept) < FEWEST:
        form = config.policy.settings.get("form")
        raise DataError(
            f"{len(kept)} pairs",
            rule=f"at least {FEWEST}, each of two different answers, the better one in the form {form!r}",
            mend="add documents with questions and answers, or loosen `form` in the policy",
        )
    kept.sort(key=lambda row: (row["prompt"], row["rule"], row["rejected"]))
    pq.write_table(pa.Table.from_pylist(kept, ROWS), out / "rows.parquet", compression="zstd")
    by_rule = Counter(row["rule"] for row in kept)
    return Report(
        counts={
            "rows": len(kept),
            "found": len(made) + len(policies) + len(given),
            "form": by_rule["form"],
            "fact": by_rule["fact"],
            **{rule: count for rule, count in sorted(by_rule.items()) if "/" in rule},
            **{name: counts[name] for name in ("same_answers", "twice", "out_of_form")},
        }
    )


def _of_instructions(
    inputs: Mapping[str, Path], config: PreferencesConfig, context: StageContext, counts: Counter[str]
) -> list[Row]:
    """Pairs of form and of fact; what people wrote is theirs to prefer."""
    instructions = pq.read_table(inputs["instructions"] / "rows.parquet").to_pylist()
    train = [row for row in instructions if row["split"] == "train" and not row["rule"].startswith(GIVEN)]
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for row in train:
        answers[row["rule"]].setdefault(_said(row["answer"]), row["answer"])
    others = {rule: sorted(found.items()) for rule, found in answers.items()}
    pairs: list[Row] = []
    for place, row in enumerate(train, start=1):
        pairs += _pairs(row, others[row["rule"]], config, counts)
        context.progress(place, len(train), "instructions")
        if context.cancelled():
            raise InterruptedRun("making the preferences stopped", mend="run the same command again")
    return pairs


def _of_policies(inputs: Mapping[str, Path]) -> list[Row]:
    """Every training item's answer that keeps the policy over each that breaks it."""
    items = pq.read_table(inputs["policy_items"] / "rows.parquet").to_pylist()
    return [
        _row(item["prompt"], item["keeps"], broken, f"policy/{item['policy']}", item["document_ids"])
        for item in items
        if item["split"] == "train"
        for broken in item["breaks"]
    ]


def _given(inputs: Mapping[str, Path]) -> list[Row]:
    rows = []
    for name, path in sorted(inputs.items()):
        if name.startswith(f"{GIVEN}/"):
            digest = sha256_file(path)
            lines = read_lines(path, Preference)
            rows += [_row(line.prompt, line.chosen, line.rejected, name, [digest]) for _, line in lines]
    return rows


def _different(rows: list[Row], counts: Counter[str]) -> list[Row]:
    """Rows that prefer something, each once; what is left out is counted."""
    kept: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        if row["chosen"] == row["rejected"]:
            counts["same_answers"] += 1
        elif (key := (row["prompt"], row["chosen"], row["rejected"])) in kept:
            counts["twice"] += 1
        else:
            kept[key] = row
    return list(kept.values())


def _drawn(rows: list[Row], config: PreferencesConfig) -> list[Row]:
    def key(row: Row) -> tuple[int, str, str, str]:
        drawn = number(config.seed, row["prompt"] + row["rule"])
        return drawn, row["prompt"], row["rule"], row["rejected"]

    return sorted(rows, key=key)


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
