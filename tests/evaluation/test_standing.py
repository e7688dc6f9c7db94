"""Evaluation costs what changed: a task that stands is not asked again, and its results are the same bytes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from forge_dagster.evaluation import scorecard
from forge_dagster.evaluation.measure import Subject, Task
from forge_dagster.evaluation.score import Result
from forge_dagster.evaluation.scorecard import ScorecardConfig
from forge_dagster.evaluation.standing import Standing
from forge_dagster.stage import LocalContext, local_context

Make = Callable[..., ScorecardConfig]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """(number of the model, task) of every evaluation, in order."""
    seen: list[tuple[int, str]] = []
    models: dict[int, int] = {}
    real = scorecard.tasks_of

    def counted(*arguments: object) -> list[Task]:
        def count(task: Task) -> Task:
            def evaluate(subject: Subject) -> list[Result]:
                seen.append((models.setdefault(id(subject), len(models)), task.name))
                return list(task.evaluate(subject))

            evaluate.__module__ = task.evaluate.__module__
            return Task(**{**vars(task), "evaluate": evaluate})

        return [count(task) for task in real(*arguments)]  # type: ignore[arg-type]

    monkeypatch.setattr(scorecard, "tasks_of", counted)
    return seen


def test_one_changed_task_costs_that_task(
    artifacts: dict[str, Path], config_of: Make, context: LocalContext, tmp_path: Path, asked: list[tuple[int, str]]
):
    def run(name: str, inputs: dict[str, Path], where: LocalContext = context) -> Path:
        asked.clear()
        (tmp_path / name).mkdir()
        scorecard.run(inputs, config_of(), tmp_path / name, where)
        return tmp_path / name

    first = run("first", artifacts)
    assert len(asked) == 2 * 9
    again = run("again", artifacts)
    assert asked == []
    for name in ("scorecard.json", "items.parquet"):
        assert (again / name).read_bytes() == (first / name).read_bytes()

    benchmark = tmp_path / "benchmark"
    shutil.copytree(artifacts["domain_benchmark"], benchmark)
    items = benchmark / "items" / "facts_seen.jsonl"
    items.write_text("\n".join(items.read_text().splitlines()[:-1]) + "\n")
    changed = {**artifacts, "domain_benchmark": benchmark}
    fewer = run("fewer", changed)
    assert [task for _, task in asked] == ["facts_seen"] * 2
    fresh = run("fresh", changed, local_context(tmp_path / "elsewhere"))
    assert len(asked) == 2 * 9
    for name in ("scorecard.json", "items.parquet"):
        assert (fewer / name).read_bytes() == (fresh / name).read_bytes()


def test_results_that_a_disk_lost_are_asked_for_again(tmp_path: Path):
    task = Task(name="t", items={"a": "d"}, settings={}, metrics={}, evaluate=lambda subject: [])
    standing = Standing(tmp_path, {})
    results = [Result("acc", "a", "d", "a", 1.0)]
    assert standing.results("m", task, "c", lambda: results) == results
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text().replace("1.0", "0.5"))
    assert standing.results("m", task, "c", lambda: results) == results
    assert standing.results("other", task, "c", lambda: results) == results
    assert standing.asked == ["t", "t", "t"]
