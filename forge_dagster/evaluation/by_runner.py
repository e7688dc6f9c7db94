"""The domain benchmark and held-out text, asked of any runner: what an export and its original are compared on."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from forge_dagster.errors import DataError, VerdictError
from forge_dagster.evaluation.choices import choice_task, cluster_of
from forge_dagster.evaluation.domain_benchmark import read_items
from forge_dagster.evaluation.held_out import METRIC, text_task
from forge_dagster.evaluation.measure import Task, overall, pooled
from forge_dagster.evaluation.score import Result
from forge_dagster.export import Row, Runner
from forge_dagster.tokens.control import END_OF_TEXT_ID
from forge_dagster.tokens.encoding import encode_batch

DOMAIN = "domain"
"""Task of all items of the benchmark together."""
TOGETHER = 64  # rows between two words on how far it is


@dataclass(frozen=True, kw_only=True)
class Question:
    """A task, the rows that a runner scores for it, and what follows from their log p."""

    task: Task
    rows: Sequence[Row]
    results: Callable[[Sequence[np.ndarray]], list[Result]]


def questions(
    benchmark: Path, documents: Sequence[Mapping[str, Any]], encoder: Tokenizer, positions: int
) -> list[Question]:
    """Every task of a domain benchmark, and bits per byte of held-out documents, for a model of so many positions."""
    choices = [
        _choices(choice_task(task["name"], benchmark / task["items"], task["version"], 1), items, encoder, positions)
        for task, items in read_items(benchmark)
    ]
    return [*choices, _text(text_task("validation", documents), documents, encoder, positions)]


def tasks_of(asked: Sequence[Question]) -> list[Task]:
    """What is asked, and the benchmark's tasks together."""
    tasks = [each.task for each in asked]
    return [*tasks, overall(DOMAIN, tasks[:-1])]


def answered(
    runner: Runner, asked: Sequence[Question], progress: Callable[[int], None]
) -> tuple[dict[str, list[Result]], np.ndarray]:
    """Task -> results of its items, and log p of every scored token in order. `progress` gets rows done."""
    found: dict[str, list[Result]] = {}
    every: list[np.ndarray] = []
    done = 0
    for each in asked:
        said: list[np.ndarray] = []
        for start in range(0, len(each.rows), TOGETHER):
            said += runner.log_probabilities(each.rows[start : start + TOGETHER])
            progress(done + len(said))
        if not all(np.isfinite(values).all() for values in said):
            raise VerdictError(f"{each.task.name}: log p is not a number", rule="a score is a number")
        found[each.task.name] = each.results(said)
        every += said
        done += len(said)
    found[DOMAIN] = pooled([each.task.name for each in asked[:-1]], found)
    return found, np.concatenate(every)


def _choices(task: Task, items: Sequence[Mapping[str, Any]], encoder: Tokenizer, positions: int) -> Question:
    """The choice whose tokens have the highest log p together counts, as in lm-eval's `acc`."""
    rows = [_after(encoder, item["query"], f" {choice}", positions) for item in items for choice in item["choices"]]

    def results(said: Sequence[np.ndarray]) -> list[Result]:
        sums = iter([float(values.sum()) for values in said])
        chosen = [int(np.argmax([next(sums) for _ in item["choices"]])) for item in items]
        return [
            Result("acc", item["id"], task.items[item["id"]], cluster_of(item), float(choice == item["gold"]))
            for item, choice in zip(items, chosen, strict=True)
        ]

    return Question(task=replace(task, settings={"scored": "choice"}), rows=rows, results=results)


def _after(encoder: Tokenizer, context: str, text: str, positions: int) -> Row:
    """Text after a context, cut on the left where it is longer than the model reads; spaces belong to what follows."""
    bare = context.rstrip()
    whole, before = encode_batch(encoder, [context + text, bare])
    scored = len(whole) - len(before)
    if scored > positions:
        raise DataError(f"a choice takes {scored} tokens, the model reads {positions}", rule="items fit into it")
    ids = [END_OF_TEXT_ID, *whole][-(positions + 1) :]
    return Row(ids, len(ids) - scored)


def _text(task: Task, documents: Sequence[Mapping[str, Any]], encoder: Tokenizer, positions: int) -> Question:
    """Documents from `<|end_of_text|>` to the next, in windows that do not see each other."""
    rows: list[Row] = []
    owners: list[int] = []
    texts = [document["text"] for document in documents]
    for number, tokens in enumerate(encode_batch(encoder, texts)):
        ids = [END_OF_TEXT_ID, *tokens, END_OF_TEXT_ID]
        for start in range(0, len(ids) - 1, positions):
            rows.append(Row(ids[start : start + positions + 1], 1))
            owners.append(number)

    def results(said: Sequence[np.ndarray]) -> list[Result]:
        nats = np.bincount(owners, weights=[-float(values.sum()) for values in said])
        sizes = [len(text.encode()) for text in texts]
        return [
            Result(METRIC, item, digest, item, float(each) / math.log(2) / size, float(size))
            for (item, digest), each, size in zip(task.items.items(), nats, sizes, strict=True)
        ]

    return Question(task=task, rows=rows, results=results)
