"""Contamination: an item that training text holds is flagged, and its task has a score without it."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.corpus.decontaminate import said
from forge_dagster.evaluation.contamination import contamination, with_unflagged
from forge_dagster.evaluation.measure import Task
from forge_dagster.evaluation.own_task import OwnTask
from forge_dagster.evaluation.score import Metric, Result, aggregate

HELD = "The spare drawings of the northern crane hang beside the canteen door since it opened"
FREE = "Nobody has ever told anybody where the southern crane hang beside the canteen door since then"


def benchmark(folder: Path, role: str) -> Path:
    items = [
        {"id": name, "query": text, "choices": ["today", "never"], "gold": 0, "document_ids": [name]}
        for name, text in (("held", HELD), ("free", FREE), ("short", "The spare drawings of"))
    ]
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    task = {"name": "next", "role": role, "items": "items.jsonl", "version": 1}
    (folder / "benchmark.json").write_text(json.dumps({"tasks": [task]}))
    return folder


def inputs_of(folder: Path, role: str = "generalisation") -> dict[str, Path]:
    pq.write_table(pa.table({"id": ["a"], "text": [f"As said: {HELD.lower()}, today."]}), folder / "train.parquet")
    return {"corpus": folder, "domain_benchmark": benchmark(folder, role)}


def test_an_item_that_training_text_holds_is_flagged(tmp_path: Path, config_of: Any):
    (task,) = contamination(inputs_of(tmp_path), config_of(), tmp_path)
    results = task.evaluate(None)  # type: ignore[arg-type]
    flags = {result.item: result.value for result in results if result.metric == "flagged"}
    assert flags == {"next/held": 1.0, "next/free": 0.0}, "what is too short to tell is not counted"
    overlap = {result.item: result.value for result in results if result.metric == "overlap"}
    assert overlap == {"next/held": 1.0, "next/free": 7 / 17}


def test_knowledge_is_meant_to_stand_in_training_text(tmp_path: Path, config_of: Any):
    assert contamination(inputs_of(tmp_path, "knowledge"), config_of(), tmp_path) == []


def test_items_of_own_tasks_are_looked_for_as_well(tmp_path: Path, config_of: Any):
    own = OwnTask.model_validate(
        {
            "task": "mine",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": "evals/mine.jsonl"}},
            "test_split": "test",
            "output_type": "loglikelihood_rolling",
            "doc_to_text": "",
            "doc_to_target": "text",
            "metric_list": [{"metric": "bits_per_byte"}],
            "metadata": {"version": 1},
        }
    )
    (tmp_path / "mine.jsonl").write_text(json.dumps({"id": "t", "text": HELD}) + "\n")
    inputs = {**inputs_of(tmp_path, "knowledge"), "evals/mine.jsonl": tmp_path / "mine.jsonl"}
    (task,) = contamination(inputs, config_of(own_tasks=(own,)), tmp_path)
    assert task.settings["flagged"] == ["mine/t"]


def test_an_item_is_read_as_decontamination_reads_it():
    asked = {"id": "q", "question": "Who?", "choices": ["Ada", "Eve"]}
    assert list(said({**asked, "gold": 1})) == ["Who? Eve"]
    assert list(said({**asked, "answer": "Ada"})) == ["Who? Ada"]
    assert list(said({**asked, "gold": 2})) == ["q", "Who?", "Ada", "Eve"], "which is right is not known"


def test_a_task_that_loses_some_items_has_a_score_without_them(tmp_path: Path, config_of: Any):
    def task(name: str, *items: str) -> Task:
        return Task(
            name=name,
            items=dict.fromkeys(items, "digest"),
            settings={},
            metrics={"acc": Metric(better="higher", chance=0.5)},
            evaluate=lambda _: [Result("acc", item, "digest", item, float(item == "held")) for item in items],
        )

    (contaminated,) = contamination(inputs_of(tmp_path), config_of(), tmp_path)
    split, whole, gone, _ = with_unflagged(
        [task("next", "held", "free"), task("cloze", "a"), task("none"), contaminated]
    )
    results = split.evaluate(None)  # type: ignore[arg-type]
    values = {
        name: aggregate([result for result in results if result.metric == name], how).value
        for name, how in split.metrics.items()
    }
    assert values == {"acc": 0.5, "acc_unflagged": 0.0}
    assert split.metrics["acc_unflagged"].chance == 0.5
    assert split.evaluate.__module__ == __name__, "results stand for as long as the code that made them"
    assert set(whole.metrics) == set(gone.metrics) == {"acc"}
