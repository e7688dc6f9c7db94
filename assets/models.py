"""From token shards to a release: one chain of assets for each recipe, made from its list of stages."""

from collections.abc import Callable
from functools import partial

from assets.documents import POLICY, benchmark_files
from assets.hop import Hop
from assets.weights import weights_key
from forge_dagster.chain import Link, chain, checkpoint_key, scored
from forge_dagster.declared import Declared, continued_job, training_job
from forge_dagster.evaluation.scorecard import ScorecardConfig
from forge_dagster.evaluation.statistics import noise_floors
from forge_dagster.home import home
from forge_dagster.provenance.build import External
from forge_dagster.provenance.files import sha256_file
from forge_dagster.provenance.incumbent import GoingOn, Incumbent
from forge_dagster.recipe import Recipe
from forge_dagster.release import LEDGER, Pairs, ReleaseConfig, stated_overrides
from forge_dagster.stage import FrozenModel

SCORECARD_BATCH = 64  # rows of one forward pass in lm-eval
MOST_ANSWERS = 100
VALIDATION_BYTES = 400_000  # of held-out text that bits per byte are taken of


def model_hops(declared: Declared) -> list[Hop]:
    """The hops of every recipe."""
    return [hop for recipe in declared.recipes.values() for hop in _recipe_hops(recipe)]


def _recipe_hops(recipe: Recipe) -> list[Hop]:
    hops = [_checkpoint(recipe, link) for link in chain(recipe)]
    checkpoints = {name: checkpoint_key(recipe.name, name) for name in scored(recipe)}
    return [*hops, _scorecard(recipe, checkpoints), _release(recipe, hops[-1].key)]


def needed(recipe: Recipe, name: str) -> str:
    """Artifact key behind an input name of a training stage."""
    if name == "weights":
        assert recipe.weights is not None, "the recipe checks that it has weights"
        return weights_key(recipe.weights.name)
    return f"{name}/{recipe.tokenizer_name}" if name in ("tokenizer", "token_shards") else name


def _checkpoint(recipe: Recipe, link: Link) -> Hop:
    called, module = link.entry.called, link.module
    needs = [name for name in ("tokenizer", *module.NEEDS) if name not in link.reads]
    judged = ["corpus"] if recipe.limits and link.entry == recipe.stages[0] else []

    def config(declared: Declared) -> FrozenModel:
        frozen = declared.recipes[recipe.name]
        return training_job(frozen, next(entry for entry in frozen.stages if entry.called == called))

    key = checkpoint_key(recipe.name, called)
    inputs = {**{name: needed(recipe, name) for name in [*needs, *judged]}, **link.reads}

    def going_on(declared: Declared) -> GoingOn | None:
        """Where the recipe's policy says so, its first stage goes on from the model that serves."""
        how = declared.policy_of(recipe.name).continuation
        if how is None or link.entry != recipe.stages[0]:
            return None
        job = continued_job(declared.recipes[recipe.name], how)
        return GoingOn(release=f"{recipe.name}/release", key=key, graph=inputs, config=job)

    return Hop(
        asset=key,
        module=module.__name__,
        description=module.__doc__.strip(),
        group=recipe.name.replace("-", "_"),
        inputs=inputs,
        config=config,
        serving=going_on,
        kinds=frozenset({"torch", "huggingface"}),
    )


def _scorecard(recipe: Recipe, checkpoints: dict[str, str]) -> Hop:
    return Hop(
        asset=f"{recipe.name}/scorecard",
        module="forge_dagster.evaluation.scorecard",
        description="Scores of the untrained model and of each checkpoint, by lm-eval, and the verdict of each gate.",
        group=recipe.name.replace("-", "_"),
        inputs={**asked_of(recipe), **{f"checkpoint/{stage}": key for stage, key in checkpoints.items()}},
        config=lambda declared: scoring_of(declared, recipe.name),
        external=asked_besides,
        serving=_serving(recipe, with_former=False),
        kinds=frozenset({"torch", "huggingface"}),
    )


def asked_besides(declared: Declared) -> dict[str, External]:
    """Items of the tasks that people bring, and the canaries of every source."""
    return benchmark_files(declared) | {
        f"canaries/{name}": External(
            what=str(source.canaries), measure=partial(sha256_file, source.canaries), path=source.canaries
        )
        for name, source in declared.sources.items()
        if source.canaries is not None
    }


def asked_of(recipe: Recipe) -> dict[str, str]:
    """What tasks are made of: the scorecard asks them, the release looks whether it asked them all."""
    names = ["domain_benchmark", "corpus", "tokenizer", "instructions", "policy_items"]
    return {name: needed(recipe, name) for name in [*names, *(["weights"] if recipe.weights else [])]}


def scoring_of(declared: Declared, name: str) -> ScorecardConfig:
    """How the models of a recipe are measured."""
    recipe = declared.recipes[name]
    return ScorecardConfig(
        seed=recipe.seed,
        model=recipe.model,
        gates=recipe.gates,
        noise=noise_floors(recipe.noise, recipe.noise_seeds),
        checkpoints=scored(recipe),
        beginning=recipe.beginning,
        policy=declared.policies[POLICY],
        own_tasks=tuple(declared.own_tasks.values()),
        batch_size=SCORECARD_BATCH,
        most_answers=MOST_ANSWERS,
        validation_bytes=VALIDATION_BYTES,
    )


def _serving(recipe: Recipe, *, with_former: bool) -> Callable[[Declared], Incumbent]:
    last = checkpoint_key(recipe.name, scored(recipe)[-1])
    found = Incumbent(release=f"{recipe.name}/release", candidate=last, with_former=with_former)
    return lambda _: found


def _release(recipe: Recipe, last: str) -> Hop:
    return Hop(
        asset=f"{recipe.name}/release",
        module="forge_dagster.release",
        description="The last checkpoint with its scorecard, manifest and model card; refused unless all gates pass.",
        group=recipe.name.replace("-", "_"),
        inputs={"checkpoint": last, "scorecard": f"{recipe.name}/scorecard", **asked_of(recipe)},
        config=lambda declared: ReleaseConfig(
            recipe=declared.recipes[recipe.name],
            scoring=scoring_of(declared, recipe.name),
            overrides=declared.overrides.get(recipe.name, ()),
            pairs=_pairs(declared, declared.recipes[recipe.name]),
        ),
        external=lambda declared: asked_besides(declared) | _ledger(declared, recipe.name),
        serving=_serving(recipe, with_former=True),
        kinds=frozenset({"huggingface"}),
    )


def _ledger(declared: Declared, name: str) -> dict[str, External]:
    """The ledger, where people overrode a gate of the recipe: the release looks whether it says so."""
    if not declared.overrides.get(name):
        return {}
    path = home().ledger
    stated = External(what=f"what {path} states of {name}", measure=partial(stated_overrides, path, name), path=path)
    return {LEDGER: stated}


def _pairs(declared: Declared, recipe: Recipe) -> tuple[Pairs, ...]:
    """The sources of pairs that a recipe learns from: preferences where a stage reads them, the others become
    instructions, of which policy items and preferences are made as well."""
    needs = {name for link in chain(recipe) for name in link.module.NEEDS}
    asked = bool(needs & {"instructions", "policy_items", "preferences"})
    return tuple(
        Pairs(name=name, kind=placed.source.kind, licence=placed.source.licence)
        for name, placed in sorted(declared.pairs.items())
        if ("preferences" in needs if placed.source.kind == "preference" else asked)
    )
