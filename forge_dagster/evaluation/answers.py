"""A measure: greedy answers to held-out questions in the chat, judged for the asked form and for content."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from forge_dagster.errors import DataError
from forge_dagster.evaluation.harness import ANSWER_TOKENS, evaluate, how, replies
from forge_dagster.evaluation.measure import Measuring, Subject, Task
from forge_dagster.evaluation.score import Metric, Result
from forge_dagster.policy_kinds import policy_settings
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.rewards import in_form, is_correct
from forge_dagster.tokens.control import CONTROL

NAME = "answers"
METRICS = {"form": Metric(better="higher"), "correct": Metric(better="higher")}


def answers(inputs: Mapping[str, Path], config: Measuring, work: Path) -> Sequence[Task]:
    """`answers.form` and `answers.correct`."""
    items = questions(inputs["instructions"], config.most_answers)
    form: str = policy_settings(config.policy).form
    path = write_items(work / f"{NAME}.jsonl", items)
    digests = [fingerprint(item) for item in items]

    def judge(doc: Mapping[str, Any], reply: str) -> dict[str, float]:
        good = in_form(reply, form)
        return {"form": float(good), "correct": float(good and is_correct(reply, doc["answer"]))}

    def ask(subject: Subject) -> list[Result]:
        task = replies(NAME, path, judge, list(METRICS))
        found = evaluate(subject.model, subject.tokenizer, task, batch_size=config.batch_size)
        return [
            Result(metric, digest[:16], digest, digest[:16], value)
            for digest, values in zip(digests, found, strict=True)
            for metric, value in values.items()
        ]

    return [
        Task(
            name=NAME,
            digest=fingerprint({"form": form, "items": digests}),
            settings={**how(config.batch_size), "answer_tokens": ANSWER_TOKENS},
            metrics=METRICS,
            evaluate=ask,
        )
    ]


def write_items(path: Path, items: Sequence[Mapping[str, Any]]) -> Path:
    """Items as JSONL, for lm-eval to read."""
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    return path


def questions(folder: Path, most: int) -> list[dict[str, str]]:
    """Held-out instructions; a question that holds a control token's text would not be asked as text."""
    rows = pq.read_table(folder / "rows.parquet", columns=["question", "answer", "split"]).to_pylist()
    held_out = [
        {"question": row["question"], "answer": row["answer"]}
        for row in rows
        if row["split"] == "held_out" and not any(token in row["question"] for token in CONTROL)
    ]
    if not held_out:
        raise DataError("no held-out question", rule="answers are judged on questions never trained on")
    held_out.sort(key=lambda row: hashlib.sha256(row["question"].encode()).digest())
    return held_out[:most]
