"""The approaches that `forge compare-approaches` sets side by side, as recipes and a comparison made from one recipe.

Every recipe spends the same floating-point operations on the organisation's documents: what the given recipe spends on
its base and sft stages. What open weights cost those who made them counts for nobody.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import Field

from forge_dagster.comparison import Arm, Comparison, Retrieval
from forge_dagster.errors import RecipeError, UserError
from forge_dagster.recipe import InheritedTokenizerSpec, Recipe, StageEntry, WeightsSpec
from forge_dagster.stage import FrozenModel

RATES = ("muon_lr", "embedding_lr", "head_lr", "norm_lr", "router_lr")
BM25 = Retrieval(passage_words=40, candidates=16, k1=1.2, b=0.75)
GENERAL_TIMES = 1
"""Tokens of the general base, in base stages of the given recipe."""


class Price(FrozenModel):
    """What one model costs to train: operations a token of text, and of one epoch over the instructions."""

    a_token: int = Field(ge=1)
    an_epoch: int = Field(ge=1)


class Rates(FrozenModel):
    """Learning rates on top of given weights, as shares of the recipe's; those suit a model from scratch."""

    continued: float = Field(gt=0)
    sft: float = Field(gt=0)


OWN_BASE = Rates(continued=0.5, sft=1.0)
OPEN_WEIGHTS = Rates(continued=0.1, sft=0.1)


def parts(recipe: Recipe) -> tuple[StageEntry, StageEntry]:
    """The base and the sft stage of a recipe. Raises UserError if it does not begin with them."""
    kinds = [entry.stage for entry in recipe.stages]
    if kinds[:2] != ["base", "sft"]:
        raise UserError(
            f"recipe {recipe.name} begins with {', '.join(kinds[:2])}",
            rule="approaches are compared under the budget of a recipe that begins with base and sft",
            mend="choose another with --recipe",
        )
    return recipe.stages[0], recipe.stages[1]


def trimmed(recipe: Recipe) -> Recipe:
    """The recipe up to its sft stage: the same checkpoints as in the whole recipe."""
    return recipe.model_copy(update={"stages": parts(recipe)})


def general(recipe: Recipe) -> Recipe:
    """A base of the recipe's shape, to be trained on text of others: it stands for open weights."""
    base, _ = parts(recipe)
    settings = {**base.settings, "tokens": GENERAL_TIMES * base.settings["tokens"], "mixture": None}
    stages = (StageEntry(stage="base", settings=settings),)
    said = "A base trained on text of others, which stands for open weights in a comparison of approaches."
    return recipe.model_copy(update={"name": "general", "description": said, "seed": recipe.seed + 1, "stages": stages})


def operations(recipe: Recipe, scratch: Price) -> int:
    """The budget: what the recipe's base and sft stages cost from scratch."""
    base, sft = parts(recipe)
    return scratch.a_token * base.settings["tokens"] + round(scratch.an_epoch * sft.settings["epochs"])


def from_weights(recipe: Recipe, weights: WeightsSpec, price: Price, *, budget: int, rates: Rates) -> list[Recipe]:
    """Continued pre-training, and SFT only, each for the budget. Raises RecipeError if that is less than one batch.

    Continued pre-training spends on its SFT what the recipe does, and at most half of the budget.
    """
    base, sft = parts(recipe)
    epochs = min(sft.settings["epochs"], budget / 2 / price.an_epoch)
    batch = base.settings["batch_tokens"]
    tokens = int((budget - epochs * price.an_epoch) / price.a_token) // batch * batch
    if tokens < batch:
        raise RecipeError(
            f"the budget of {budget:.3g} operations trains {weights.name} on {tokens} tokens, a batch has {batch}",
            rule="continued pre-training takes at least one step",
            mend="take smaller weights, lower batch_tokens, or raise tokens of the recipe's base stage",
        )
    slower = {name: base.settings[name] * rates.continued for name in RATES}
    further = {**base.settings, **slower, "tokens": tokens, "mixture": None, "replay": None}

    def tuned(times: float) -> StageEntry:
        rate = sft.settings["learning_rate"] * rates.sft
        return StageEntry(stage="sft", settings={**sft.settings, "epochs": round(times, 4), "learning_rate": rate})

    def made(name: str, said: str, first: StageEntry, times: float) -> Recipe:
        return Recipe(
            name=f"{recipe.name}-{name}",
            description=f"{said} {weights.name}, for the operations of {recipe.name}.",
            seed=recipe.seed,
            tokenizer=InheritedTokenizerSpec(kind="inherited", domain_tokens=0),
            weights=weights,
            stages=(first, tuned(times)),
            gates=recipe.gates,
        )

    return [
        made("continued", "Continued pre-training and SFT of", StageEntry(stage="continued", settings=further), epochs),
        made("sft-only", "SFT alone of", StageEntry(stage="start", settings={}), budget / price.an_epoch),
    ]


def comparison(recipe: Recipe) -> Comparison:
    """Every approach with and without retrieval, within the recipe's sequence length."""
    base, _ = parts(recipe)
    ways = (
        ("from scratch", recipe.name, "sft"),
        ("continued pre-training", f"{recipe.name}-continued", "sft"),
        ("SFT only", f"{recipe.name}-sft-only", "sft"),
        ("base", f"{recipe.name}-sft-only", "start"),
    )
    arms = [Arm(name=name, recipe=of, stage=stage, retrieval=False) for name, of, stage in ways]
    arms += [Arm(name=f"{name} + retrieval", recipe=of, stage=stage, retrieval=True) for name, of, stage in ways]
    return Comparison(
        name=recipe.name,
        seed=recipe.seed,
        inference_tokens=base.settings["sequence_length"],
        retrieval=BM25,
        arms=tuple(arms),
    )


def write(folder: Path, recipe: Recipe, others: Sequence[Recipe]) -> None:
    """Write the recipes and their comparison, in place of what an earlier comparison left."""
    for kind in ("recipes", "comparisons"):
        shutil.rmtree(folder / kind, ignore_errors=True)
    for each in (trimmed(recipe), *others):
        write_recipe(folder / "recipes", each)
    _write(folder / "comparisons", comparison(recipe))


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Write one recipe as a file that `forge run` takes."""
    _write(folder, recipe)


def _write(folder: Path, declared: Recipe | Comparison) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(declared.model_dump(mode="json"), sort_keys=False)
    (folder / f"{declared.name}.yaml").write_text(text, encoding="utf-8")
