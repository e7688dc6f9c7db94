"""The recipes that are compared: each spends the budget, is one a person could run, and is read back as written."""

from pathlib import Path

import pytest

from forge_dagster import approaches
from forge_dagster.approaches import OPEN_WEIGHTS, OWN_BASE, Price, from_weights
from forge_dagster.chain import chain, scored
from forge_dagster.comparison import load_comparisons
from forge_dagster.declared import load_declared
from forge_dagster.errors import RecipeError, UserError
from forge_dagster.home import PROJECT
from forge_dagster.recipe import Recipe, WeightsSpec, load_recipe, load_recipes

WEIGHTS = WeightsSpec(name="general-base", location="/models/base", origin="here", licence="MIT")
PRICE = Price(a_token=6_000_000, an_epoch=300_000_000_000)


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe(PROJECT / "recipes" / "tiny-dense.yaml")


def spent(recipe: Recipe, price: Price) -> float:
    first, sft = recipe.stages
    return price.a_token * first.settings.get("tokens", 0) + price.an_epoch * sft.settings["epochs"]


@pytest.mark.parametrize("times", [1, 3, 20])
def test_every_recipe_spends_the_budget(recipe: Recipe, times: int):
    budget = approaches.operations(recipe, PRICE)
    assert budget == 6_000_000 * 614_400 + 3 * 300_000_000_000
    price = Price(a_token=PRICE.a_token * times, an_epoch=PRICE.an_epoch * times)
    continued, tuned = from_weights(recipe, WEIGHTS, price, budget=budget, rates=OWN_BASE)
    batch = recipe.stages[0].settings["batch_tokens"]
    assert budget - price.a_token * batch - 0.001 * budget < spent(continued, price) < budget * 1.001
    assert spent(tuned, price) == pytest.approx(budget, rel=1e-3)
    assert continued.stages[1].settings["epochs"] * price.an_epoch <= budget / 2 * 1.001
    assert [link.entry.called for link in chain(continued)] == ["continued", "sft"]
    assert scored(tuned) == ("start", "sft")


def test_rates_on_given_weights_are_lower(recipe: Recipe):
    continued, tuned = from_weights(recipe, WEIGHTS, PRICE, budget=1 << 43, rates=OPEN_WEIGHTS)
    assert continued.stages[0].settings["muon_lr"] == pytest.approx(0.002)
    assert tuned.stages[1].settings["learning_rate"] == pytest.approx(0.0001)
    assert continued.stages[0].settings["warmup_share"] == recipe.stages[0].settings["warmup_share"]


def test_what_is_written_is_read_back_and_can_be_run(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    others = from_weights(recipe, WEIGHTS, PRICE, budget=1 << 43, rates=OWN_BASE)
    approaches.write(tmp_path, recipe, others)
    found = load_recipes(tmp_path / "recipes")
    assert found == {each.name: each for each in (approaches.trimmed(recipe), *others)}
    assert load_comparisons(tmp_path / "comparisons") == {recipe.name: approaches.comparison(recipe)}
    for kind in ("recipes", "comparisons"):
        monkeypatch.setenv(f"FORGE_{kind.upper()}", str(tmp_path / kind))
    declared = load_declared()
    assert len(declared.comparisons["tiny-dense"].arms) == 8
    approaches.write(tmp_path, recipe, others[1:])
    with pytest.raises(RecipeError, match="an arm is tiny-dense-continued/sft"):
        load_declared()


def test_a_general_base_has_the_shape_and_not_the_seed(recipe: Recipe):
    base = approaches.general(recipe)
    assert base.model == recipe.model
    assert base.seed != recipe.seed
    assert [entry.stage for entry in base.stages] == ["base"]


def test_what_cannot_be_compared_is_refused(recipe: Recipe):
    with pytest.raises(UserError, match="begins with sft"):
        approaches.comparison(recipe.model_copy(update={"stages": recipe.stages[1:]}))
    with pytest.raises(RecipeError, match="trains general-base on 0 tokens, a batch has 4096"):
        from_weights(recipe, WEIGHTS, PRICE, budget=PRICE.an_epoch // 100, rates=OWN_BASE)
