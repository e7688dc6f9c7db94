"""Everything a person declares as data: sources, recipes, policies, studies, decisions and the like; read together."""

import importlib
from collections.abc import Collection, Mapping
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
from forge_dagster.exclusion import Exclusion, load_exclusions
from forge_dagster.export import ExportPolicy, load_export_policies
from forge_dagster.home import folder_of, home
from forge_dagster.override import Override, load_overrides
from forge_dagster.pair_source import PlacedPairs, load_pair_sources
from forge_dagster.policy import Policy, load_policies
from forge_dagster.policy_kinds import policy_settings
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.recipe import Recipe, StageEntry, WeightsSpec, load_recipes
from forge_dagster.retraining import Continuation, RetrainingPolicy, load_retraining
from forge_dagster.search.space import check_study
from forge_dagster.signing.keys import KeyRing
from forge_dagster.source import PlacedSource, Source, explain, load_sources
from forge_dagster.stage import FrozenModel
from forge_dagster.study import Study, load_studies
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.settings import RATES, Replay


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
    studies: Mapping[str, Study] = {}
    retraining: Mapping[str, RetrainingPolicy] = {}
    exports: Mapping[str, ExportPolicy] = {}
    exclusions: tuple[Exclusion, ...] = ()

    def exporting(self, recipe: str) -> ExportPolicy:
        """What exports of a recipe may lose: its file's policy, else the defaults."""
        return self.exports.get(recipe) or ExportPolicy(name=recipe)

    def policy_of(self, recipe: str) -> RetrainingPolicy:
        """When and how a recipe is trained again: its file's policy, else the defaults."""
        return self.retraining.get(recipe) or RetrainingPolicy(name=recipe)

    def in_full(self) -> "Declared":
        """The same, with every training from scratch."""
        policies = {name: policy.in_full() for name, policy in self.retraining.items()}
        return self.model_copy(update={"retraining": policies})

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
    if getattr(typed, "going_on", None) is not None:
        raise RecipeError(
            f"{recipe.name}.yaml (stage {entry.called}): going_on is set",
            rule="whether and how a model that serves is trained further stands in the retraining policy",
            mend=f"take it out; set `method: continue` in recipes/retraining/{recipe.name}.yaml",
        )
    limits = recipe.limits if entry == recipe.stages[0] else None
    return TrainingJob[Any](seed=recipe.seed, model=recipe.model, settings=typed, limits=limits)


def continued_job(recipe: Recipe, how: Continuation) -> TrainingJob[Any]:
    """The configuration of a recipe's first stage where it goes on from the model that serves.

    Raises RecipeError if the continuation breaks a rule of the stage.
    """
    job = training_job(recipe, recipe.stages[0])
    rates = {name: getattr(job.settings, name) * how.rate for name in type(job.settings).model_fields if name in RATES}
    going_on = Replay(share=how.replay, epochs=how.epochs)
    settings = job.settings.model_copy(update={**rates, "tokens": how.tokens, "going_on": going_on})
    try:
        typed = type(settings).model_validate(settings.model_dump())
    except ValidationError as error:
        raise explain(Path(f"retraining/{recipe.name}.yaml (continuation)"), error) from error
    return job.model_copy(update={"settings": typed})


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
    """Read everything from its folder. Raises RecipeError, SourceError, IntegrityError on a doctored exclusion list."""
    recipes = load_recipes(folder_of("recipes"))
    for recipe in recipes.values():
        for entry in recipe.stages:
            training_job(recipe, entry)
        chain(recipe)
    teachers_exist(recipes)
    exclusions = load_exclusions(KeyRing(home().root / "keys", Ledger(home().ledger)))
    erased = tuple(sorted({each.document for exclusion in exclusions for each in exclusion.documents}))
    found = load_sources(folder_of("sources"))
    sources = {name: placed.model_copy(update={"erased": erased}) for name, placed in found.items()}
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
    retraining = load_retraining(folder_of("recipes") / "retraining")
    exports = load_export_policies(folder_of("recipes") / "exports")
    for folder, named in (("retraining", retraining), ("exports", exports)):
        if unknown := sorted(set(named) - set(recipes)):
            raise RecipeError(
                f"{folder}/{unknown[0]}.yaml is of no recipe",
                rule=f"a policy in {folder}/ is named after a recipe: {', '.join(recipes)}",
                mend="rename or remove it",
            )
    for name, how in retraining.items():
        if how.continuation is not None:
            _can_go_on(recipes[name], how.continuation)
    comparisons = load_comparisons(folder_of("comparisons"))
    for comparison in comparisons.values():
        _compares_what_is_there(comparison, recipes)
    studies = load_studies(folder_of("studies"))
    for study in studies.values():
        study_fits(study, recipes, sources)
    declared = Declared(
        sources=sources,
        recipes=recipes,
        policies=policies,
        pairs=pairs,
        overrides=overrides,
        comparisons=comparisons,
        studies=studies,
        retraining=retraining,
        exports=exports,
        exclusions=exclusions,
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


def _can_go_on(recipe: Recipe, how: Continuation) -> None:
    first = recipe.stages[0]
    if first.stage != "base" or first.settings.get("mixture") is not None:
        raise RecipeError(
            f"retraining/{recipe.name}.yaml: method continue, and the recipe begins with {first.stage}"
            + (" on a mixture" if first.stage == "base" else ""),
            rule="a training that goes on has shares of new and of replayed documents in place of shares by source",
            mend="let the recipe begin with base without a mixture, or choose the method full",
        )
    continued_job(recipe, how)


def study_fits(study: Study, recipes: Mapping[str, Recipe], sources: Collection[str]) -> None:
    """Raise RecipeError if a study is of no recipe, or breaks a rule of it."""
    if study.recipe not in recipes:
        raise RecipeError(
            f"study {study.name}: recipe = {study.recipe!r}",
            rule=f"a recipe is one of {', '.join(recipes)}",
            mend="correct the study, or add the recipe",
        )
    check_study(study, recipes[study.recipe], frozenset(sources))


def _compares_what_is_there(comparison: Comparison, recipes: Mapping[str, Recipe]) -> None:
    known = {f"{name}/{stage}" for name, recipe in recipes.items() for stage in scored(recipe)}
    unknown = sorted({f"{arm.recipe}/{arm.stage}" for arm in comparison.arms} - known)
    if unknown:
        raise RecipeError(
            f"comparison {comparison.name}: an arm is {', '.join(unknown)}",
            rule=f"an arm is RECIPE and STAGE of a whole model: {', '.join(sorted(known))}",
            mend="correct the comparison, or add the recipe",
        )
