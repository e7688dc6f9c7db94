"""What trainings cost, from the ledger and the records of real builds, and what speaks against another one."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from assets.decisions import past, trainings
from forge_dagster.chain import chain, checkpoint_key
from forge_dagster.home import PROJECT, Home
from forge_dagster.provenance.build import Built
from forge_dagster.provenance.run import Run
from forge_dagster.recipe import Recipe, load_recipe
from forge_dagster.retraining import Hold, Measured, Past, RetrainingPolicy, decide

NOTHING_SERVES = Measured(
    serves=False, tokens=1, new_tokens=1, gone_documents=0, changed_facts=0, stale_facts=0, settled_facts=0,
    unsettled_facts=0, new_bits_per_byte=None, held_out_bits_per_byte=None, failed_gates=(),
)  # fmt: skip


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe(PROJECT / "recipes" / "tiny-dense.yaml")


@pytest.fixture
def seconds(
    home: Home, toy: Callable[[str, str], str], make: Callable[..., Built], recipe: Recipe, tmp_path: Path
) -> float:
    """Seconds that the stages of the recipe took: toys in their place that take their time, timed like any build."""
    run = Run(home, "first")
    made = []
    for number, link in enumerate(chain(recipe)):
        name = toy(f"stage_{number}", "word")
        path = tmp_path / "modules" / f"{name}.py"
        path.write_text(path.read_text().replace("context.progress(", "__import__('time').sleep(0.05) or print("))
        made.append(make(run, checkpoint_key(recipe.name, link.entry.called), name))
    return sum(json.loads((each.folder / "beside" / "run.json").read_bytes())["seconds"] for each in made)


def policy(**changes: object) -> RetrainingPolicy:
    return RetrainingPolicy.model_validate({"name": "tiny-dense", **changes})


def at(recipe: Recipe, hours: float, **changes: object) -> Past:
    """The past as the clock has it so many hours after the last training."""
    wanted = policy(**changes)
    made = trainings(recipe, wanted)
    return past(made, recipe, wanted, made[0].made + timedelta(hours=hours))


def test_hours_are_those_of_the_builds(seconds: float, recipe: Recipe):
    found = at(recipe, 1)
    assert found.cost_hours == found.spent_hours == pytest.approx(seconds / 3600, abs=1e-9)
    assert at(recipe, 31 * 24).spent_hours == 0
    assert at(recipe, 1, unit="gpu").spent_hours == 0, "none of it ran on a GPU"


@pytest.mark.usefixtures("seconds")
def test_a_cooldown_holds_until_it_is_over(recipe: Recipe):
    held = decide(at(recipe, 23), NOTHING_SERVES, policy())
    assert isinstance(held, Hold)
    assert held.until == at(recipe, 23).trained + timedelta(hours=24)
    assert decide(at(recipe, 24), NOTHING_SERVES, policy()).decision == "retrain"


@pytest.mark.usefixtures("seconds")
def test_a_clock_that_was_set_back_holds_nothing_for_ever(recipe: Recipe):
    found = at(recipe, -1e5)
    assert found.clock_was_set_back
    assert found.spent_hours > 0, "what was spent stays spent"
    decided = decide(found, NOTHING_SERVES, policy())
    assert decided.decision == "retrain"
    assert any("was set back" in reason.text for reason in decided.reasons)


def test_a_budget_counts_what_was_spent_and_what_would_be(seconds: float, recipe: Recipe):
    hours = seconds / 3600
    short = decide(at(recipe, 48), NOTHING_SERVES, policy(budget_hours=1.5 * hours))
    assert isinstance(short, Hold)
    assert short.until is not None
    assert short.until > at(recipe, 48).trained
    assert decide(at(recipe, 48), NOTHING_SERVES, policy(budget_hours=3 * hours + 1e-5)).decision == "retrain"
    assert decide(at(recipe, 31 * 24), NOTHING_SERVES, policy(budget_hours=1.5 * hours + 1e-5)).decision == "retrain"


def test_what_costs_more_waits_for_a_person(seconds: float, recipe: Recipe):
    cheap = decide(at(recipe, 48), NOTHING_SERVES, policy(approval_above_hours=seconds / 3600 + 1e-5))
    dear = decide(at(recipe, 48), NOTHING_SERVES, policy(approval_above_hours=0))
    assert cheap.decision == dear.decision == "retrain"
    assert not cheap.needs_approval
    assert dear.needs_approval
