"""Arms of a comparison: the same items within one budget, what each cost, and who can be told from the best."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from forge_dagster.comparison import Arm, Comparison, Retrieval
from forge_dagster.errors import DataError, RecipeError
from forge_dagster.evaluation import arms
from forge_dagster.evaluation.arms import ArmsConfig, trained
from forge_dagster.evaluation.arms_table import Arms, cells, reading
from forge_dagster.evaluation.evidence import read_evidence
from forge_dagster.evaluation.score import Metric, Result
from forge_dagster.model.folder import load_model
from forge_dagster.stage import local_context
from forge_dagster.training.cost import read_cost, write_cost

HOW = Retrieval(passage_words=12, candidates=8, k1=1.2, b=0.75)


def comparison(**changes: Any) -> Comparison:
    values: dict[str, Any] = {
        "name": "nano",
        "seed": 1,
        "inference_tokens": 120,
        "retrieval": HOW,
        "arms": [Arm(name=name, recipe="nano", stage="base", retrieval=name == "read") for name in ("known", "read")],
        **changes,
    }
    return Comparison.model_validate(values)


@pytest.fixture(scope="module")
def inputs(artifacts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    model = tmp_path_factory.mktemp("model")
    for path in artifacts["checkpoint/base"].iterdir():
        (model / path.name).symlink_to(path)
    write_cost(model, tokens=4096, operations=10**9)
    return {**artifacts, trained("nano", "base"): model}


def config(config_of: Any, **changes: Any) -> ArmsConfig:
    given = config_of()
    measuring = {name: getattr(given, name) for name in ("seed", "policy", "batch_size", "most_answers")}
    chosen = comparison(**changes)
    stages = {arm.name: ("base",) for arm in chosen.arms}
    return ArmsConfig(
        comparison=chosen, stages=stages, validation_bytes=given.validation_bytes, own_tasks=(), **measuring
    )


@pytest.fixture(scope="module")
def made(inputs: dict[str, Path], config_of: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("arms")
    (folder / "out").mkdir()
    arms.run(inputs, config(config_of), folder / "out", local_context(folder))
    return folder / "out", folder


def weights_without_embeddings(folder: Path) -> int:
    model = load_model(folder)
    lookup = model.get_input_embeddings().weight.numel()
    return sum(each.numel() for name, each in model.named_parameters() if not name.endswith("norm.weight")) - lookup


def test_every_arm_has_its_costs_and_scores(made: tuple[Path, Path], inputs: dict[str, Path]):
    body = arms.read(made[0])
    known, read = body.rows
    assert known.training_tokens == read.training_tokens == 4096
    assert known.training_operations == 4096 * 6 * weights_without_embeddings(inputs[trained("nano", "base")])
    assert set(known.scores) == {*body.metrics} == {*read.scores, "validation.bits_per_byte"}
    assert known.holds_answer == {}
    assert read.holds_answer["facts_seen"] >= 0.4, "half of the documents are there, and state their facts"
    for task, tokens in read.prompt_tokens.items():
        assert known.prompt_tokens[task] <= tokens <= body.inference_tokens
    assert all(finding.passed for finding in arms.check(made[0]))
    assert (made[1] / "beside" / arms.PLOT).stat().st_size > 2_000
    assert str(made[1]) not in (made[0] / arms.FILE).read_text()


def test_items_keep_their_names_so_that_arms_can_be_paired(made: tuple[Path, Path]):
    found = read_evidence(made[0] / "items.parquet")
    for metric, results in found["read"].items():
        assert [result.item for result in results] == [result.item for result in found["known"][metric]]
    asked = {name: {r.digest for r in found[name]["facts_seen.acc"]} for name in found}
    assert not asked["known"] & asked["read"], "what stands before a question is part of what was asked"


def test_an_item_that_one_arm_cannot_read_is_asked_of_none(inputs: dict[str, Path], config_of: Any, tmp_path: Path):
    benchmark = tmp_path / "benchmark"
    shutil.copytree(inputs["domain_benchmark"], benchmark)
    (task,) = [
        each for each in json.loads((benchmark / "benchmark.json").read_text())["tasks"] if each["name"] == "facts_seen"
    ]
    first, *others = (benchmark / task["items"]).read_text().splitlines()
    item = json.loads(first)
    item["choices"][0] = " ".join(str(number) for number in range(300))
    (benchmark / task["items"]).write_text("\n".join([json.dumps(item), *others]) + "\n")
    (tmp_path / "out").mkdir()
    arms.run({**inputs, "domain_benchmark": benchmark}, config(config_of), tmp_path / "out", local_context(tmp_path))
    body = arms.read(tmp_path / "out")
    assert body.left_out == {"facts_seen": 1}
    assert {row.scores["facts_seen.acc"].n for row in body.rows} == {len(others)}


def test_checks_see_a_missing_score_and_a_prompt_over_the_budget(made: tuple[Path, Path], tmp_path: Path):
    body = json.loads((made[0] / arms.FILE).read_text())
    del body["rows"][1]["scores"]["facts_seen.acc"]
    body["rows"][0]["prompt_tokens"]["facts_seen"] = 121.0
    (tmp_path / arms.FILE).write_text(json.dumps(body))
    assert [finding.passed for finding in arms.check(tmp_path)] == [False, False]


def test_what_cannot_be_compared_is_refused(inputs: dict[str, Path], config_of: Any, tmp_path: Path):
    with pytest.raises(RecipeError, match="reads 128 tokens, the budget of an answer is 500"):
        arms.run(inputs, config(config_of, inference_tokens=500), tmp_path, local_context(tmp_path))
    (tmp_path / "model").mkdir()
    with pytest.raises(DataError, match=r"has no cost\.json"):
        read_cost(tmp_path / "model")
    twice = comparison().arms[0]
    with pytest.raises(ValidationError, match="two of them are the same"):
        comparison(arms=[twice, twice])
    with pytest.raises(ValidationError, match="two of them are the same"):
        comparison(arms=[twice, twice.model_copy(update={"name": "other"})])


def results(right: int, of: int) -> dict[str, list[Result]]:
    return {"facts.acc": [Result("acc", f"{n}", f"{n}", f"{n}", float(n < right)) for n in range(of)]}


def test_the_best_is_told_from_what_is_clearly_worse_alone():
    found = {"a": results(88, 100), "b": results(90, 100), "c": results(40, 100)}
    made, best = cells(found, {"facts.acc": Metric(better="higher")})
    assert best == {"facts.acc": "b"}
    assert [made[arm]["facts.acc"].is_best for arm in "abc"] == [True, True, False]
    apart = made["c"]["facts.acc"].to_best
    assert apart is not None
    assert apart.difference == pytest.approx(-0.5)
    rows = [
        {"arm": arm, "recipe": "r", "stage": "s", "retrieval": False, "parameters": 1, "training_tokens": 1,
         "training_operations": 1, "prompt_tokens": {}, "reply_tokens": 1, "holds_answer": {}, "scores": made[arm]}
        for arm in "abc"
    ]  # fmt: skip
    body = Arms.model_validate(
        {"name": "n", "inference_tokens": 9, "metrics": {}, "best": best, "rows": rows, "reading": ""}
    )
    said = reading(body.rows, best)
    assert said == ("By facts.acc the best is b (0.900 of 100 items); a cannot be told from it; c is worse by 0.500.")


def test_lower_bits_are_better():
    found = {"a": results(10, 100), "b": results(90, 100)}
    made, best = cells(found, {"facts.acc": Metric(better="lower")})
    assert best == {"facts.acc": "a"}
    assert not made["b"]["facts.acc"].is_best
