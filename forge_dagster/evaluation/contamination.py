"""A measure: which items that ask for generalisation stand in the training text after all, whatever was taken out."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from forge_dagster.corpus.words import words
from forge_dagster.evaluation.harness import read_items
from forge_dagster.evaluation.measure import Measuring, Subject, Task, item_digests
from forge_dagster.evaluation.own_tasks import files_of, item_id, read_rows
from forge_dagster.evaluation.score import Metric, Result, Score, aggregate
from forge_dagster.evaluation.seen import Seen, training_documents
from forge_dagster.provenance.canonical import fingerprint

NAME = "contamination"
RUN = 8  # words in a row, of question and right answer, by which an item is flagged
FLAGGED = Metric(better="lower")


def contamination(inputs: Mapping[str, Path], config: Measuring, work: Path) -> Sequence[Task]:
    """`contamination.flagged`: share of items of generalisation tasks, and of own tasks, that training text holds."""
    asked = dict(_asked(inputs, config))
    if not asked:
        return []
    digests = item_digests(NAME, [{"text": text} for text in asked.values()], list(asked))
    held = flagged(inputs, config)

    def ask(subject: Subject) -> list[Result]:
        return [Result("flagged", item, digest, item, float(item in held)) for item, digest in digests.items()]

    corpus = fingerprint(sorted(held))
    return [
        Task(
            name=NAME,
            items=digests,
            settings={"run": RUN, "flagged": corpus},
            metrics={"flagged": FLAGGED},
            evaluate=ask,
        )
    ]


def flagged(inputs: Mapping[str, Path], config: Measuring) -> frozenset[str]:
    """`task/item` of each item of which RUN words in a row, or all of a shorter text, stand in a training document."""
    seen = Seen(document.text for document in training_documents(inputs["corpus"], config.seed))
    return frozenset(name for name, text in _asked(inputs, config) if seen.longest_run(text) >= RUN)


def without_flagged(results: Mapping[str, Sequence[Result]], metrics: Mapping[str, Metric]) -> dict[str, Score]:
    """The scores that a checkpoint's results give without flagged items, of metrics that lose some and keep others."""
    held = {result.item for result in results.get(f"{NAME}.flagged", ()) if result.value}
    scores = {}
    for name, metric in metrics.items():
        task = name.rpartition(".")[0]
        left = [result for result in results.get(name, ()) if f"{task}/{result.item}" not in held]
        if 0 < len(left) < len(results.get(name, ())):
            scores[name] = aggregate(left, metric)
    return scores


def _asked(inputs: Mapping[str, Path], config: Measuring) -> Iterator[tuple[str, str]]:
    """`task/item` and its question with the right answer, of items long enough to tell."""
    folder = inputs["domain_benchmark"]
    for task in json.loads((folder / "benchmark.json").read_bytes())["tasks"]:
        if task["role"] == "generalisation":
            for item in read_items(folder / task["items"]):
                yield from _long(f"{task['name']}/{item['id']}", f"{item['query']} {item['choices'][item['gold']]}")
    for own in config.own_tasks:
        for row in read_rows(files_of(own, inputs)[own.test_split]):
            yield from _long(f"{own.task}/{item_id(row)}", _said(row))


def _said(row: Mapping[str, Any]) -> str:
    question, choices, gold = row.get("query") or row.get("question"), row.get("choices"), row.get("gold")
    if isinstance(question, str) and isinstance(choices, list) and isinstance(gold, int):
        return f"{question} {choices[gold]}"
    return " ".join(value for value in row.values() if isinstance(value, str))


def _long(name: str, text: str) -> Iterator[tuple[str, str]]:
    if len(words(text)) >= RUN:
        yield name, text
