"""What cannot be measured is an error with its reason, never a number."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forge_dagster.errors import DataError, RecipeError, VerdictError
from forge_dagster.evaluation import scorecard
from forge_dagster.evaluation.choices import choice_task
from forge_dagster.evaluation.held_out import text_task
from forge_dagster.evaluation.scorecard import ScorecardConfig
from forge_dagster.recipe import Gate
from forge_dagster.stage import LocalContext

ITEM = {"id": "a", "query": "Which?", "choices": ["one", "two"], "gold": 0}


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "task t has no items"),
        ([ITEM | {"gold": 2}], "gold = 2, there are 2 choices"),
        ([ITEM | {"gold": -1}], "gold = -1"),
        ([ITEM | {"gold": "one"}], "gold = 'one'"),
        ([ITEM | {"gold": True}], "gold = True"),
        ([ITEM | {"choices": ["one", "one"]}], "each different"),
        ([ITEM | {"choices": ["one"]}], "two or more choices"),
        ([ITEM, ITEM], "two items of task t have one id"),
        ([{"id": "a", "query": "Which?"}], "has no choices, gold"),
    ],
)
def test_a_task_of_broken_items(tmp_path: Path, items: list[dict[str, Any]], said: str):
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    with pytest.raises(DataError, match=said):
        choice_task("t", path, 1, 8)


@pytest.mark.parametrize("text", ["{", None])
def test_a_file_of_no_items(tmp_path: Path, text: str | None):
    if text:
        (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(DataError, match="holds no items"):
        choice_task("t", tmp_path / "t.jsonl", 1, 8)


def test_text_of_no_documents():
    with pytest.raises(DataError, match="task general has no items"):
        text_task("general", [])


def test_a_gate_on_an_unknown_metric_stops_before_anything_is_asked(
    artifacts: dict[str, Path], config_of: Callable[..., ScorecardConfig], context: LocalContext, tmp_path: Path
):
    with pytest.raises(RecipeError, match=r"gate facts_seen\.speed: there is no such metric"):
        scorecard.run(artifacts, config_of(gates=(Gate(metric="facts_seen.speed", minimum=0.5),)), tmp_path, context)
    assert not list(context.cache.iterdir())


@pytest.mark.parametrize("harm", ["other", "missing"])
def test_a_checkpoint_of_another_tokenizer(
    artifacts: dict[str, Path],
    config_of: Callable[..., ScorecardConfig],
    context: LocalContext,
    tmp_path: Path,
    harm: str,
):
    shutil.copytree(artifacts["checkpoint/base"], tmp_path / "checkpoint")
    if harm == "other":
        (tmp_path / "checkpoint" / "tokenizer.json").write_text("{}")
    else:
        (tmp_path / "checkpoint" / "tokenizer.json").unlink()
    with pytest.raises(VerdictError, match=r"tokenizer\.json of the checkpoint base is not the recipe's"):
        scorecard.run({**artifacts, "checkpoint/base": tmp_path / "checkpoint"}, config_of(), tmp_path, context)
