"""A measure: the tasks of the domain benchmark, each item a choice among several answers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from forge_dagster.errors import DataError
from forge_dagster.evaluation.harness import evaluate, how, multiple_choice, read_items
from forge_dagster.evaluation.measure import Measuring, Subject, Task, item_digests
from forge_dagster.evaluation.score import Metric, Result


def domain_tasks(inputs: Mapping[str, Path], config: Measuring, work: Path) -> Sequence[Task]:
    """One task for each of the domain benchmark."""
    folder = inputs["domain_benchmark"]
    tasks = json.loads((folder / "benchmark.json").read_bytes())["tasks"]
    return [choice_task(task["name"], folder / task["items"], task["version"], config.batch_size) for task in tasks]


def choice_task(name: str, path: Path, version: int, batch_size: int) -> Task:
    """`name.acc`: whether the right choice has the highest log-likelihood. Raises DataError on a broken item."""
    items = read_items(path)
    for item in items:
        _is_sound(name, item)
    digests = item_digests(name, items, [item["id"] for item in items])

    def ask(subject: Subject) -> list[Result]:
        found = evaluate(subject.model, subject.tokenizer, multiple_choice(name, path, version), batch_size=batch_size)
        return [
            Result("acc", item["id"], digests[item["id"]], cluster_of(item), values["acc"])
            for item, values in zip(items, found, strict=True)
        ]

    return Task(
        name=name,
        items=digests,
        settings={**how(batch_size), "version": version},
        metrics={"acc": Metric(better="higher", chance=fmean(1 / len(item["choices"]) for item in items))},
        evaluate=ask,
    )


def held_out_documents(folder: Path) -> set[str]:
    """Ids of the documents that the benchmark's `generalisation` items were made of."""
    tasks = json.loads((folder / "benchmark.json").read_bytes())["tasks"]
    files = [folder / task["items"] for task in tasks if task["role"] == "generalisation"]
    return {document for path in files for item in read_items(path) for document in item.get("document_ids", ())}


def cluster_of(item: Mapping[str, Any]) -> str:
    """Items made of one document stand and fall together; one that many documents state, or none, stands for itself."""
    documents = item.get("document_ids", ())
    return documents[0] if len(documents) == 1 else item["id"]


def _is_sound(name: str, item: Mapping[str, Any]) -> None:
    missing = [key for key in ("id", "query", "choices", "gold") if key not in item]
    if missing:
        raise DataError(f"an item of {name} has no {', '.join(missing)}", rule="id, query, choices, gold")
    choices, gold = item["choices"], item["gold"]
    if not isinstance(gold, int) or isinstance(gold, bool) or not 0 <= gold < len(choices):
        raise DataError(
            f"item {item['id']}: gold = {gold!r}, there are {len(choices)} choices",
            rule="gold is the number of the right choice, from 0",
            mend="make the benchmark again",
        )
    if len(set(choices)) < max(len(choices), 2):
        raise DataError(f"item {item['id']}: choices {choices}", rule="two or more choices, each different")
