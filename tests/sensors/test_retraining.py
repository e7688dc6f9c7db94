"""The sensor has a decision made of what is, and asks once for the training that it wants."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.test_utils import create_run_for_test

from assets.decisions import decision_hops, decision_key
from forge_dagster.declared import load_declared
from forge_dagster.home import PROJECT, Home
from forge_dagster.provenance.approval import approve
from forge_dagster.provenance.build import Built, Order, build
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.run import Run
from forge_dagster.retraining import Use
from forge_dagster.stage import NoConfig
from sensors.retraining import evaluate

KEY = decision_key("tiny-dense")


class Recipes:
    """One recipe whose artifacts are toys in a real store."""

    def __init__(self, root: Path, home: Home, toy: Callable[[str, str], str]) -> None:
        self.root, self.home, self.toy, self.count, self.later = root, home, toy, 0, timedelta()
        self.instance = dg.DagsterInstance.ephemeral()
        (root / "recipes" / "retraining").mkdir(parents=True)
        text = (PROJECT / "recipes" / "tiny-dense.yaml").read_text()
        (root / "recipes" / "tiny-dense.yaml").write_text(text)

    @property
    def hop(self) -> object:
        (hop,) = decision_hops(load_declared())
        return hop

    def policy(self, **changes: object) -> None:
        path = self.root / "recipes" / "retraining" / "tiny-dense.yaml"
        path.write_text(yaml.safe_dump({"name": "tiny-dense", **changes}))

    def make(self, key: str, word: str = "a", **inputs: str) -> Built:
        order = Order(key=key, module=self.toy(f"toy_{word}", word), inputs=inputs, external={}, config=NoConfig(),
                      numerics=None)  # fmt: skip
        return self._build(order)

    def inputs(self, word: str = "a") -> None:
        for key in sorted(set(self.hop.inputs.values())):
            self.make(key, word)

    def decide(self) -> str:
        hop, declared = self.hop, load_declared()
        order = Order(key=KEY, module="decide_alone", inputs=hop.inputs, external={}, config=hop.config(declared),
                      numerics=None, serving=hop.serving(declared))  # fmt: skip
        return self._build(order).record.digest

    def _build(self, order: Order) -> Built:
        self.count += 1
        run = Run(self.home, f"run-{self.count}")
        run.freeze({})
        return build(run, order, actor="user:test", say=lambda _: None)

    def run(self, status: dg.DagsterRunStatus) -> str:
        """Let a run of what the last tick asked for end."""
        ((request,), _) = self.tick()
        made = create_run_for_test(self.instance, tags=request.tags, status=dg.DagsterRunStatus.STARTED)
        if status == dg.DagsterRunStatus.FAILURE:
            self.instance.report_run_failed(made, "the disk is full")
        else:
            self.instance.report_run_canceled(made)
        return made.run_id

    def tick(self) -> tuple[list[dg.RunRequest], str]:
        found = list(evaluate(dg.build_sensor_context(instance=self.instance), datetime.now(UTC) + self.later))
        requests = [each for each in found if isinstance(each, dg.RunRequest)]
        return requests, "".join(each.skip_message or "" for each in found if isinstance(each, dg.SkipReason))


@pytest.fixture
def recipes(
    tmp_path: Path, home: Home, toy: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Recipes]:
    monkeypatch.setenv("FORGE_RECIPES", str(tmp_path / "recipes"))
    made = Recipes(tmp_path, home, toy)
    made.inputs()
    yield made
    made.instance.dispose()


def test_what_was_never_made_waits_for_a_person(recipes: Recipes):
    (recipes.home.artifacts / "corpus" / "CURRENT").unlink()
    requests, said = recipes.tick()
    assert requests == []
    assert "corpus was never made: forge run" in said


def test_a_decision_is_asked_for_once_and_again_when_documents_or_policy_change(recipes: Recipes):
    (first,), _ = recipes.tick()
    assert (first.job_name, first.asset_selection) == ("decisions", [dg.AssetKey(KEY.split("/"))])
    assert recipes.tick()[0][0].run_key == first.run_key
    recipes.decide()
    assert recipes.tick()[0][0].job_name == "models"
    recipes.make("corpus", "b")
    (second,), _ = recipes.tick()
    assert second.job_name == "decisions"
    assert second.run_key != first.run_key
    recipes.make("corpus", "a")
    assert recipes.tick()[0][0].job_name == "models", "the decision is of what is again"
    recipes.policy(cooldown_hours=1)
    assert recipes.tick()[0][0].job_name == "decisions"


def test_a_training_is_named_by_its_decision(recipes: Recipes):
    digest = recipes.decide()
    (request,), _ = recipes.tick()
    assert request.run_key == f"tiny-dense by decision {digest}"
    selected = {key.to_user_string() for key in request.asset_selection}
    assert {"corpus", "tiny-dense/base_checkpoint", "tiny-dense/scorecard", "tiny-dense/release"} <= selected
    assert not {"raw_documents", "clean_documents", KEY} & selected


def test_what_costs_much_waits_for_the_approval_of_this_very_decision(recipes: Recipes):
    recipes.policy(approval_above_hours=0)
    digest = recipes.decide()
    requests, said = recipes.tick()
    assert requests == []
    assert "forge retrain approve tiny-dense" in said
    approve(Ledger(recipes.home.ledger), "tiny-dense", "0" * 64, by="user:a")
    assert recipes.tick()[0] == []
    approve(Ledger(recipes.home.ledger), "tiny-dense", digest, by="user:a")
    assert recipes.tick()[0][0].job_name == "models"


def test_it_waits_for_runs_that_make_what_it_reads(recipes: Recipes):
    recipes.decide()
    other, own = (frozenset({dg.AssetKey(path)}) for path in (["other", "release"], ["corpus"]))
    create_run_for_test(recipes.instance, asset_selection=other, status=dg.DagsterRunStatus.STARTED)
    assert len(recipes.tick()[0]) == 1
    run = create_run_for_test(recipes.instance, asset_selection=own, status=dg.DagsterRunStatus.STARTED)
    requests, said = recipes.tick()
    assert requests == []
    assert f"waits for run {run.run_id}" in said


def test_what_was_trained_and_judged_is_not_trained_again(recipes: Recipes):
    recipes.decide()
    shards = recipes.hop.inputs["token_shards"]
    recipes.make("tiny-dense/base_checkpoint", token_shards=shards)
    recipes.make("tiny-dense/rl_checkpoint", base="tiny-dense/base_checkpoint")
    recipes.make("tiny-dense/scorecard", rl="tiny-dense/rl_checkpoint")
    requests, said = recipes.tick()
    assert requests == []
    assert "its gates hold it back" in said


def test_a_training_that_failed_is_asked_for_once_more_an_hour_later(recipes: Recipes):
    digest = recipes.decide()
    first = recipes.run(dg.DagsterRunStatus.FAILURE)
    requests, said = recipes.tick()
    assert requests == []
    assert f"see run {first}; it is asked for once more at" in said
    recipes.later = timedelta(hours=1, minutes=1)
    (again,), _ = recipes.tick()
    assert again.run_key == f"tiny-dense by decision {digest} again"
    second = recipes.run(dg.DagsterRunStatus.FAILURE)
    recipes.later = timedelta(days=9)
    requests, said = recipes.tick()
    assert requests == []
    assert f"see run {second}; mend what it says" in said


def test_a_training_that_a_person_stopped_is_not_asked_for_again(recipes: Recipes):
    recipes.decide()
    run = recipes.run(dg.DagsterRunStatus.CANCELED)
    recipes.later = timedelta(days=9)
    requests, said = recipes.tick()
    assert requests == []
    assert f"was stopped, see run {run}" in said


def test_refusals_since_a_decision_have_it_made_anew(recipes: Recipes, monkeypatch: pytest.MonkeyPatch):
    recipes.policy(budget_hours=0, refusals=0.2)
    recipes.make("tiny-dense/base_checkpoint")
    recipes.decide()
    requests, said = recipes.tick()
    assert (requests, "held" in said) == ([], True)
    for name in ("sensors.retraining.use_of", "assets.decisions.use_of"):
        monkeypatch.setattr(name, lambda policy, now: Use(answers=100, refusals=50))
    (request,), _ = recipes.tick()
    assert request.job_name == "decisions"
    recipes.decide()
    assert recipes.tick()[0] == [], "that they ask is in the decision now, and the budget holds it"
