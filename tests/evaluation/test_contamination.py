"""Contamination: an item that training text holds is flagged, and its task has a score without it."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.evaluation.contamination import contamination, flagged, without_flagged
from forge_dagster.evaluation.own_task import OwnTask
from forge_dagster.evaluation.score import Metric, Result

HELD = "The spare drawings of the northern crane hang beside the canteen door"
FREE = "Nobody has ever told anybody where the southern crane was bought from"


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
    results = {result.item: result.value for result in task.evaluate(None)}  # type: ignore[arg-type]
    assert results == {"next/held": 1.0, "next/free": 0.0}, "what is too short to tell is not counted"


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
    assert flagged(inputs, config_of(own_tasks=(own,))) == {"mine/t"}


def test_scores_without_flagged_items_are_of_tasks_that_lose_some():
    def results(metric: str, **values: float) -> list[Result]:
        return [Result(metric, item, "", item, value) for item, value in values.items()]

    found = {
        "next.acc": results("acc", held=1.0, free=0.0, other=1.0),
        "cloze.acc": results("acc", held=1.0),
        "contamination.flagged": results("flagged", **{"next/held": 1.0, "next/free": 0.0}),
    }
    scores = without_flagged(found, dict.fromkeys(("next.acc", "cloze.acc"), Metric(better="higher")))
    assert {name: (score.value, score.n) for name, score in scores.items()} == {"next.acc": (0.5, 2)}
