"""A measure: greedy answers to held-out questions in the chat, judged for the asked form and for content."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow.parquet as pq

from forge_dagster.evaluation.harness import ANSWER_TOKENS, evaluate, how, replies
from forge_dagster.evaluation.measure import Measuring, Subject, Task, item_digests, results_of
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
    return [answer_task(write_items(work / f"{NAME}.jsonl", items), items, config)]


def answer_task(
    path: Path,
    items: Sequence[Mapping[str, Any]],
    config: Measuring,
    costs: Mapping[str, Callable[[str], float]] = MappingProxyType({}),
) -> Task:
    """The task over `items`, which lie in `path`; `costs` are further metrics of a reply, better if lower."""
    form: str = policy_settings(config.policy).form
    metrics = {**METRICS, **{name: Metric(better="lower") for name in costs}}
    digests = item_digests(NAME, items, [item["id"] for item in items])

    def judge(doc: Mapping[str, Any], reply: str) -> dict[str, float]:
        good = in_form(reply, form)
        merits = {"form": float(good), "correct": float(good and is_correct(reply, doc["answer"]))}
        return {**merits, **{name: cost(reply) for name, cost in costs.items()}}

    def ask(subject: Subject) -> list[Result]:
        task = replies(NAME, path, judge, list(metrics))
        return results_of(digests, evaluate(subject.model, subject.tokenizer, task, batch_size=config.batch_size))

    return Task(
        name=NAME,
        items=digests,
        settings={**how(config.batch_size), "answer_tokens": ANSWER_TOKENS, "form": form},
        metrics=metrics,
        evaluate=ask,
    )


def write_items(path: Path, items: Sequence[Mapping[str, Any]]) -> Path:
    """Items as JSONL, for lm-eval to read."""
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    return path


def questions(folder: Path, most: int) -> list[dict[str, str]]:
    """Held-out instructions; a question that holds a control token's text would not be asked as text."""
    rows = pq.read_table(folder / "rows.parquet", columns=["question", "answer", "split"]).to_pylist()
    asked = {
        (hashlib.sha256(row["question"].encode()).hexdigest(), row["question"], row["answer"])
        for row in rows
        if row["split"] == "held_out" and not any(token in row["question"] for token in CONTROL)
    }
    found = [{"question": question, "answer": answer} for _, question, answer in sorted(asked)[:most]]
    return [{"id": fingerprint(item)[:16], **item} for item in found]
