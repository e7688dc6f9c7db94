"""Everything a person declares as data: sources, pairs, recipes, policies, comparisons, decisions; read together."""

import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from forge_dagster.chain import chain, scored, stage_module, teachers_exist
from forge_dagster.comparison import Comparison, load_comparisons
from forge_dagster.corpus import kinds, names
from forge_dagster.errors import RecipeError
from forge_dagster.evaluation.own_task import OwnTask, load_own_tasks
from forge_dagster.evaluation.review import Review, load_review
from forge_dagster.home import folder_of
from forge_dagster.override import Override, load_overrides
from forge_dagster.pair_source import PlacedPairs, load_pair_sources
from forge_dagster.policy import Policy, load_policies
from forge_dagster.policy_kinds import policy_settings
from forge_dagster.recipe import Recipe, StageEntry, WeightsSpec, load_recipes
from forge_dagster.source import PlacedSource, Source, explain, load_sources
from forge_dagster.stage import FrozenModel
from forge_dagster.training.job import TrainingJob


class Declared(FrozenModel):
    """What a run freezes at launch; its steps read this, never the files again."""

    sources: Mapping[str, PlacedSource]
    recipes: Mapping[str, Recipe]
    policies: Mapping[str, Policy]
    pairs: Mapping[str, PlacedPairs]
    review: Review = Review()
    own_tasks: Mapping[str, OwnTask] = {}
    overrides: Mapping[str, tuple[Override, ...]] = {}
    comparisons: Mapping[str, Comparison] = {}

    def weights(self) -> dict[str, WeightsSpec]:
        """Open weights by name. Raises RecipeError if two recipes mean different ones by a name."""
        found: dict[str, WeightsSpec] = {}
        for recipe in self.recipes.values():
            for spec in recipe.external:
                if found.setdefault(spec.name, spec) != spec:
                    raise RecipeError(
                        f"{recipe.name}: weights {spec.name} is declared otherwise than elsewhere",
                        rule="a name stands for one set of weights",
                        mend="give it another name, or the same location, origin and licence",
                    )
        return found


def training_job(recipe: Recipe, entry: StageEntry) -> TrainingJob[Any]:
    """The typed configuration of one stage of a recipe. Raises RecipeError on a broken rule."""
    settings: type[FrozenModel] = stage_module(entry.stage).Settings
    try:
        typed = settings.model_validate(entry.settings)
    except ValidationError as error:
        raise explain(Path(f"{recipe.name}.yaml (stage {entry.called})"), error) from error
    return TrainingJob[Any](seed=recipe.seed, model=recipe.model, settings=typed)


@cache
def kind_names() -> tuple[str, ...]:
    """The kinds of sources there are: the files of forge_dagster/corpus/kinds."""
    folder = Path(kinds.__path__[0])
    return tuple(sorted(path.stem for path in folder.glob("[!_]*.py")))


def kind_module(name: str) -> Any:
    """The module of a kind of source. Raises RecipeError if there is no such file."""
    if name not in kind_names():
        raise RecipeError(
            f"kind: {name!r}", rule=f"a kind of source is one of {', '.join(kind_names())}", mend="choose one of these"
        )
    return importlib.import_module(f"{kinds.__name__}.{name}")


def source_settings(source: Source) -> Any:
    """The typed settings of a source's kind. Raises RecipeError on a broken rule."""
    try:
        return kind_module(source.kind).Settings.model_validate(source.settings)
    except ValidationError as error:
        raise explain(Path(f"{source.name}.yaml (kind {source.kind})"), error) from error


def load_declared() -> Declared:
    """Read everything from its folder. Raises RecipeError or SourceError."""
    recipes = load_recipes(folder_of("recipes"))
    for recipe in recipes.values():
        for entry in recipe.stages:
            training_job(recipe, entry)
        chain(recipe)
    teachers_exist(recipes)
    sources = load_sources(folder_of("sources"))
    for recipe in recipes.values():
        _mixes_what_is_there(recipe, sources)
    for placed in sources.values():
        source_settings(placed.source)
        if placed.source.cleaning.names:
            names.require()
    policies = load_policies(folder_of("policies"))
    for policy in policies.values():
        policy_settings(policy)
    pairs = load_pair_sources(folder_of("sources") / "pairs")
    overrides = load_overrides(folder_of("recipes") / "overrides")
    comparisons = load_comparisons(folder_of("comparisons"))
    for comparison in comparisons.values():
        _compares_what_is_there(comparison, recipes)
    declared = Declared(
        sources=sources,
        recipes=recipes,
        policies=policies,
        pairs=pairs,
        overrides=overrides,
        comparisons=comparisons,
        review=load_review(folder_of("evals")),
        own_tasks=load_own_tasks(folder_of("evals")),
    )
    declared.weights()
    return declared


def _mixes_what_is_there(recipe: Recipe, sources: Mapping[str, PlacedSource]) -> None:
    mixture = getattr(training_job(recipe, recipe.stages[0]).settings, "mixture", None)
    named = {*(mixture.sources if mixture else ()), *getattr(recipe.tokenizer, "domain_sources", ())}
    unknown = sorted(named - set(sources))
    if unknown:
        raise RecipeError(
            f"{recipe.name}: mixture or tokenizer name source {', '.join(unknown)}",
            rule=f"a source is one of {', '.join(sorted(sources))}",
            mend="correct the recipe, or add the source's file",
        )


def _compares_what_is_there(comparison: Comparison, recipes: Mapping[str, Recipe]) -> None:
    known = {f"{name}/{stage}" for name, recipe in recipes.items() for stage in scored(recipe)}
    unknown = sorted({f"{arm.recipe}/{arm.stage}" for arm in comparison.arms} - known)
    if unknown:
        raise RecipeError(
            f"comparison {comparison.name}: an arm is {', '.join(unknown)}",
            rule=f"an arm is RECIPE and STAGE of a whole model: {', '.join(sorted(known))}",
            mend="correct the comparison, or add the recipe",
        )
