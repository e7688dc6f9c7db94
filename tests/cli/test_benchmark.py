"""`forge benchmark review`: decisions go to evals/review.yaml, and nothing that makes no sense does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from forge_dagster.cli.main import app
from forge_dagster.errors import DataError, ForgeError, RecipeError, UserError
from forge_dagster.evaluation.review import FILE, load_review
from forge_dagster.home import Home

ITEM = {"query": "Which [one]", "choices": ["w", "x", "y", "z"], "gold": 1, "document_ids": ["d"], "difficulty": 0.5}
DIGEST = "0" * 64


@pytest.fixture
def forge(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `forge benchmark review` over two items and one that was struck."""
    content = home.artifacts / "domain_benchmark" / DIGEST / "content"
    (content / "items").mkdir(parents=True)
    (home.artifacts / "domain_benchmark" / "CURRENT").write_text(DIGEST)
    items = [{**ITEM, "id": "cloze/a"}, {**ITEM, "id": "cloze/b"}]
    (content / "items" / "cloze.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    struck = {**ITEM, "id": "cloze/s", "task": "cloze", "reason": "old"}
    (content / "struck.jsonl").write_text(json.dumps(struck) + "\n")
    (content / "benchmark.json").write_text(json.dumps({"tasks": [{"name": "cloze", "items": "items/cloze.jsonl"}]}))
    monkeypatch.setenv("FORGE_EVALS", str(tmp_path / "evals"))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["benchmark", "review", *arguments])

    return run


def asked(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return json.loads(result.output[result.output.index("{") :])


def test_decisions_are_written_and_shown(forge: Callable[..., Result], tmp_path: Path):
    assert forge("--strike", "cloze/a", "--reason", "two fit").exit_code == 0
    assert forge("--edit", "cloze/b", "--gold", "2", "--reason", "was wrong").exit_code == 0
    decided = load_review(tmp_path / "evals").items
    assert {name: each.decision for name, each in decided.items()} == {"cloze/a": "strike", "cloze/b": "edit"}
    assert asked(forge("--json"))["tasks"] == {"cloze": {"undecided": 1, "approve": 0, "edit": 1, "strike": 1}}
    forge("--undo", "cloze/a", "--approve", "cloze/b")
    assert {name: each.decision for name, each in load_review(tmp_path / "evals").items.items()} == {
        "cloze/b": "approve"
    }


def test_what_nobody_decided_on_is_listed(forge: Callable[..., Result]):
    forge("--approve", "cloze/a")
    result = forge("--list", "--task", "cloze")
    assert "cloze/b" in result.output
    assert "Which [one]" in result.output
    assert "> 1 x" in result.output
    assert [item["id"] for item in asked(forge("--list", "--json"))["items"]] == ["cloze/b"]
    assert asked(forge("--json"))["items"] == []


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("--strike", "cloze/a"), RecipeError, "needs a reason"),
        (("--approve", "cloze/none"), UserError, "no item cloze/none"),
        (("--gold", "1"), UserError, "without --edit"),
        (("--edit", "cloze/a", "--reason", "why"), RecipeError, "decision 'edit'"),
        (("--edit", "cloze/a", "--gold", "4", "--reason", "why"), DataError, "gold 4"),
        (("--list", "--task", "none"), UserError, "one of cloze"),
    ],
)
def test_what_makes_no_sense_is_refused_and_not_written(
    forge: Callable[..., Result], tmp_path: Path, arguments: tuple[str, ...], error: type[ForgeError], words: str
):
    result = forge(*arguments)
    assert isinstance(result.exception, error)
    assert words in str(result.exception)
    assert not (tmp_path / "evals" / FILE).exists()


def test_without_a_benchmark_it_says_how_to_make_one(home: Home):
    result = CliRunner().invoke(app, ["benchmark", "review"])
    assert "forge run --select domain_benchmark" in str(result.exception)
