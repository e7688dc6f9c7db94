"""A measure: which items that ask for generalisation stand in the training text after all, whatever was taken out."""

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import wraps
from pathlib import Path

from forge_dagster.corpus.decontaminate import GRAM, SHORTEST, said
from forge_dagster.corpus.words import words
from forge_dagster.evaluation.harness import read_items
from forge_dagster.evaluation.measure import Measuring, Subject, Task, item_digests
from forge_dagster.evaluation.own_tasks import files_of, item_id, read_rows
from forge_dagster.evaluation.score import Metric, Result
from forge_dagster.evaluation.seen import Seen, training_documents

NAME = "contamination"
UNFLAGGED = "_unflagged"  # what the name of a metric without flagged items ends with
METRICS = {"flagged": Metric(better="lower"), "overlap": Metric(better="lower")}
"""Share of items of which GRAM words in a row, or all of a shorter one, stand in a training document: question and
right answer. And the longest run of words that stands there, as a share of the item's words."""


def contamination(inputs: Mapping[str, Path], config: Measuring, work: Path) -> Sequence[Task]:
    """`contamination.flagged` and `.overlap` of items of generalisation tasks and of own tasks."""
    asked = dict(_asked(inputs, config))
    if not asked:
        return []
    digests = item_digests(NAME, [{"text": text} for text in asked.values()], list(asked))
    seen = Seen(document.text for document in training_documents(inputs["corpus"], config.seed))
    runs = {name: (seen.longest_run(text), len(words(text))) for name, text in asked.items()}
    held = {name for name, (run, size) in runs.items() if run >= min(GRAM, size)}

    def ask(subject: Subject) -> list[Result]:
        return [
            result
            for item, digest in digests.items()
            for result in (
                Result("flagged", item, digest, item, float(item in held)),
                Result("overlap", item, digest, item, runs[item][0] / runs[item][1]),
            )
        ]

    return [
        Task(
            name=NAME,
            items=digests,
            settings={"run": GRAM, "flagged": sorted(held)},
            metrics=METRICS,
            evaluate=ask,
        )
    ]


def with_unflagged(tasks: Sequence[Task]) -> list[Task]:
    """The tasks; where some items of one are flagged and others are not, it has each metric without these as well."""
    held = {name for task in tasks if task.name == NAME for name in task.settings["flagged"]}
    return [_split(task, {item for item in task.items if f"{task.name}/{item}" in held}) for task in tasks]


def _split(task: Task, held: Set[str]) -> Task:
    if not 0 < len(held) < len(task.items):
        return task

    @wraps(task.evaluate)
    def ask(subject: Subject) -> list[Result]:
        found = list(task.evaluate(subject))
        return found + [each._replace(metric=each.metric + UNFLAGGED) for each in found if each.item not in held]

    return replace(
        task,
        settings={**task.settings, "flagged": sorted(held)},
        metrics={**task.metrics, **{name + UNFLAGGED: how for name, how in task.metrics.items()}},
        evaluate=ask,
    )


def _asked(inputs: Mapping[str, Path], config: Measuring) -> Iterator[tuple[str, str]]:
    """`task/item` and its question with the right answer, of items long enough to tell."""
    folder = inputs["domain_benchmark"]
    for task in json.loads((folder / "benchmark.json").read_bytes())["tasks"]:
        if task["role"] == "generalisation":
            for item in read_items(folder / task["items"]):
                yield from _long(f"{task['name']}/{item['id']}", f"{item['query']} {item['choices'][item['gold']]}")
    for own in config.own_tasks:
        for row in read_rows(files_of(own, inputs)[own.test_split]):
            yield from _long(f"{own.task}/{item_id(row)}", " ".join(said(row)))


def _long(name: str, text: str) -> Iterator[tuple[str, str]]:
    if len(words(text)) >= SHORTEST:
        yield name, text
