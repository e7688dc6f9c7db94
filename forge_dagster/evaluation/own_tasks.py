"""A measure: the tasks that people bring in `evals/`, asked by lm-eval, or as bits per byte of their text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forge_dagster.errors import DataError
from forge_dagster.evaluation.harness import evaluate, how, own_task, read_items
from forge_dagster.evaluation.held_out import text_task
from forge_dagster.evaluation.measure import Measuring, Subject, Task, item_digests, results_of
from forge_dagster.evaluation.own_task import OwnTask
from forge_dagster.evaluation.score import Metric, Result
from forge_dagster.provenance.canonical import fingerprint


def own_tasks(inputs: Mapping[str, Path], config: Measuring, work: Path) -> Sequence[Task]:
    """One task for each of `evals/*.yaml`."""
    return [_task(task, files_of(task, inputs), config.batch_size) for task in config.own_tasks]


def files_of(task: OwnTask, inputs: Mapping[str, Path]) -> dict[str, Path]:
    """Frozen data files of a task by split. Raises DataError if one is not among the inputs."""
    found = {}
    for split, name in task.dataset_kwargs.data_files.items():
        known = f"evals/{name.partition('/')[2]}"
        if known not in inputs:
            raise DataError(
                f"task {task.task}: {name} is not there",
                rule="a task's data lies beside it",
                mend="put the file into the folder of tasks, or take the task out",
            )
        found[split] = inputs[known]
    return found


def _task(task: OwnTask, files: Mapping[str, Path], batch_size: int) -> Task:
    rows = read_rows(files[task.test_split])
    ids = [item_id(row) for row in rows]
    if task.output_type == "loglikelihood_rolling":
        return text_task(
            task.task, [{"id": name, "text": _text(task, row)} for name, row in zip(ids, rows, strict=True)]
        )
    if task.output_type == "multiple_choice":
        _can_be_answered(task, rows)
    digests = item_digests(task.task, rows, ids)
    harness_config = task.harness_config(files)
    settings = {**task.model_dump(mode="json"), "data": {split: path.name for split, path in files.items()}}

    def ask(subject: Subject) -> list[Result]:
        found = evaluate(subject.model, subject.tokenizer, own_task(harness_config), batch_size=batch_size)
        return results_of(digests, found)

    return Task(
        name=task.task,
        items=digests,
        settings={**how(batch_size), **settings, "few_shot": task.num_fewshot, "shown": _shown(task, files)},
        metrics={
            each.metric: Metric(better="higher" if each.higher_is_better else "lower") for each in task.metric_list
        },
        evaluate=ask,
    )


def item_id(row: Mapping[str, Any]) -> str:
    """Its own id, else one made of what it says."""
    return str(row.get("id") or fingerprint(dict(row))[:16])


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Items of a data file. Raises DataError if it is broken."""
    if path.suffix in (".json", ".jsonl"):
        return read_items(path)
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    try:
        table = pa.csv.read_csv(path) if path.suffix == ".csv" else pa.parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} holds no items: {error}", rule="one item a row") from error
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _text(task: OwnTask, row: Mapping[str, Any]) -> str:
    text = row.get(str(task.doc_to_target))
    if not isinstance(text, str) or not text:
        raise DataError(
            f"task {task.task}: an item has {text!r} as {task.doc_to_target}",
            rule="doc_to_target of loglikelihood_rolling names a column with text",
            mend="correct the file, or the task",
        )
    return text


def _can_be_answered(task: OwnTask, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raises DataError on an item whose right choice is none of its choices, where both are columns."""
    for number, row in enumerate(rows, start=1):
        choices = row.get(task.doc_to_choice) if isinstance(task.doc_to_choice, str) else task.doc_to_choice
        gold = row.get(task.doc_to_target) if isinstance(task.doc_to_target, str) else task.doc_to_target
        if not isinstance(choices, list) or not isinstance(gold, int):
            continue
        if not 0 <= gold < len(choices) or len(set(map(str, choices))) < max(2, len(choices)):
            raise DataError(
                f"task {task.task}, item {number}: gold {gold} of {choices}",
                rule="two or more different choices, and gold is the place of the right one",
                mend="correct the file",
            )


def _shown(task: OwnTask, files: Mapping[str, Path]) -> str | None:
    """Digest of the examples that are shown first."""
    return fingerprint(read_rows(files[task.fewshot_split])) if task.fewshot_split else None
