"""Every measure on a real small model: numbers where there are items, nothing where there are none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from forge_dagster.evaluation.by_source import by_source
from forge_dagster.evaluation.candidates import candidates_of, load_subject
from forge_dagster.evaluation.measure import Subject, Task
from forge_dagster.evaluation.memorised import memorised
from forge_dagster.evaluation.own_task import OwnTask
from forge_dagster.evaluation.own_tasks import own_tasks
from forge_dagster.evaluation.score import Score, aggregate
from forge_dagster.evaluation.verbatim import verbatim
from forge_dagster.tokens.control import END_OF_TEXT_ID


@pytest.fixture(scope="module")
def subject(artifacts: dict[str, Path], config_of: Callable[..., Any]) -> Subject:
    config = config_of()
    return load_subject("base", candidates_of(artifacts, ["base"], config.model, config.seed)["base"])


def scores_of(task: Task, subject: Subject) -> dict[str, Score]:
    results = task.evaluate(subject)
    return {
        f"{task.name}.{name}": aggregate([result for result in results if result.metric == name], how)
        for name, how in task.metrics.items()
    }


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")


def own(name: str, **changes: Any) -> OwnTask:
    return OwnTask.model_validate(
        {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": f"evals/{name}.jsonl", "train": f"evals/{name}.jsonl"}},
            "test_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": "query",
            "doc_to_choice": "choices",
            "doc_to_target": "gold",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
            "metadata": {"version": 1},
            **changes,
        }
    )


TEXT = {
    "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_choice": None, "doc_to_target": "text",
    "metric_list": [{"metric": "bits_per_byte", "higher_is_better": False}],
}  # fmt: skip
REPLY = {
    "output_type": "generate_until", "doc_to_text": "Q: {{query}} A:", "doc_to_choice": None, "doc_to_target": "text",
    "generation_kwargs": {"max_gen_toks": 4}, "metric_list": [{"metric": "exact_match", "ignore_case": True}],
    "filter_list": [
        {"name": "n", "filter": [{"function": "regex", "regex_pattern": "(\\w+)"}, {"function": "take_first"}]}
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "metrics"),
    [
        ({}, {"acc", "acc_norm"}),
        ({"num_fewshot": 1, "fewshot_split": "train"}, {"acc", "acc_norm"}),
        (TEXT, {"bits_per_byte"}),
        (REPLY, {"exact_match"}),
    ],
)
def test_tasks_that_people_bring(
    changes: dict[str, Any], metrics: set[str], subject: Subject, config_of: Callable[..., Any], tmp_path: Path
):
    rows = [
        {"query": f"Where is {n}", "choices": ["here", f"there {n}"], "gold": n % 2, "text": f"Text {n}."}
        for n in range(6)
    ]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = config_of(own_tasks=(own("mine", **changes),))
    (task,) = own_tasks({"evals/mine.jsonl": tmp_path / "mine.jsonl"}, config, tmp_path)
    scores = scores_of(task, subject)
    assert set(scores) == {f"mine.{metric}" for metric in metrics}
    assert all(score.n == len(task.items) == 6 for score in scores.values())


def test_bits_per_byte_by_source(
    artifacts: dict[str, Path], subject: Subject, config_of: Callable[..., Any], tmp_path: Path
):
    assert by_source(artifacts, config_of(), tmp_path) == [], "one source is the whole"
    rows = pq.read_table(artifacts["corpus"] / "validation.parquet")
    other = pc.if_else(pc.equal(pa.array(range(len(rows))), 0), "plant", "other-house")
    named = rows.set_column(rows.schema.get_field_index("source"), "source", other)
    pq.write_table(named.slice(0, 3), tmp_path / "validation.parquet")
    pq.write_table(named.slice(3), tmp_path / "test.parquet")
    tasks = by_source({"corpus": tmp_path}, config_of(validation_bytes=100_000), tmp_path)
    assert {task.name: len(task.items) for task in tasks} == {"source_other_house": len(rows) - 1, "source_plant": 1}
    for task in tasks:
        (score,) = scores_of(task, subject).values()
        assert score.value > 0
        assert (score.stderr is None) == (len(task.items) == 1)


def test_canaries_of_a_model_that_never_saw_them(subject: Subject, config_of: Callable[..., Any], tmp_path: Path):
    words = [f"{first}{last}" for first in ("am", "bo", "cu", "du") for last in ("ber", "lin", "ta", "rex")]
    canaries = [
        {"id": str(n), "prefix": f"The watchword of {n} is", "value": [words[n], words[-n]], "spaces": ["word"] * 2}
        for n in range(1, 9)
    ]
    (tmp_path / "canaries.yaml").write_text(yaml.safe_dump({"spaces": {"word": words}, "canaries": canaries}))
    pq.write_table(pa.table({"text": ["nothing of it"]}), tmp_path / "train.parquet")
    inputs = {"corpus": tmp_path, "canaries/plant": tmp_path / "canaries.yaml"}
    (task,) = memorised(inputs, config_of(), tmp_path)
    scores = scores_of(task, subject)
    assert 0 <= scores["canaries_unplanted.exposure"].value < 4
    assert scores["canaries_unplanted.exposure"].value <= scores["canaries_unplanted.most_exposure"].value <= 8
    assert scores["canaries_unplanted.extracted"].value == 0


def test_a_canary_learned_by_heart_is_exposed_and_extracted(
    artifacts: dict[str, Path], config_of: Callable[..., Any], tmp_path: Path
):
    config = config_of()
    learner = load_subject("base", candidates_of(artifacts, ["base"], config.model, config.seed)["base"])
    words = [f"{first}{last}" for first in ("am", "bo", "cu", "du") for last in ("ber", "lin", "ta", "rex")]
    canary = {"id": "c", "prefix": "The watchword is", "value": ["bolin"], "spaces": ["word"]}
    (tmp_path / "canaries.yaml").write_text(yaml.safe_dump({"spaces": {"word": words}, "canaries": [canary]}))
    pq.write_table(pa.table({"text": ["So it is: The watchword is bolin. Yes."]}), tmp_path / "train.parquet")
    (task,) = memorised({"corpus": tmp_path, "canaries/plant": tmp_path / "canaries.yaml"}, config, tmp_path)
    ids = torch.tensor([[END_OF_TEXT_ID, *learner.tokenizer.encode("The watchword is bolin")]])
    optimizer = torch.optim.AdamW(learner.model.parameters(), lr=0.02)
    for _ in range(80):
        loss = learner.model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scores = scores_of(task, learner)
    assert scores["canaries.exposure"].value == 4, "16 words: 4 bits"
    assert scores["canaries.extracted"].value == 1


def test_words_in_a_row_that_stand_in_training_text(
    artifacts: dict[str, Path], subject: Subject, config_of: Callable[..., Any], tmp_path: Path
):
    (task,) = verbatim(artifacts, config_of(), tmp_path)
    scores = scores_of(task, subject)
    assert scores["verbatim.words"].n == len(task.items) > 0
    assert scores["verbatim.words"].value <= scores["verbatim.most_words"].value
