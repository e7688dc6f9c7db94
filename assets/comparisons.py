"""Comparisons of checkpoints, with and without retrieval: one asset each."""

from assets.documents import POLICY
from assets.hop import Hop
from assets.models import MOST_ANSWERS, SCORECARD_BATCH, VALIDATION_BYTES
from forge_dagster.chain import chain, checkpoint_key
from forge_dagster.comparison import Comparison
from forge_dagster.declared import Declared
from forge_dagster.evaluation.arms import ArmsConfig, trained


def comparison_key(name: str) -> str:
    """Artifact key of a comparison."""
    return f"comparison/{name}"


def comparison_hops(declared: Declared) -> list[Hop]:
    """One hop for each comparison."""
    return [_hop(comparison, declared) for comparison in declared.comparisons.values()]


def _hop(comparison: Comparison, declared: Declared) -> Hop:
    def config(frozen: Declared) -> ArmsConfig:
        chosen = frozen.comparisons[comparison.name]
        return ArmsConfig(
            comparison=chosen,
            stages={arm.name: stages_of(frozen, arm.recipe, arm.stage) for arm in chosen.arms},
            seed=chosen.seed,
            policy=frozen.policies[POLICY],
            own_tasks=(),  # general slices are not what the approaches differ in
            batch_size=SCORECARD_BATCH,
            most_answers=MOST_ANSWERS,
            validation_bytes=VALIDATION_BYTES,
        )

    checkpoints = {
        trained(arm.recipe, stage): checkpoint_key(arm.recipe, stage)
        for arm in comparison.arms
        for stage in stages_of(declared, arm.recipe, arm.stage)
    }
    return Hop(
        asset=comparison_key(comparison.name),
        module="forge_dagster.evaluation.arms",
        description="Ways to bring the documents' knowledge into answers, asked the same items under one budget.",
        group="comparisons",
        inputs={name: name for name in ("corpus", "domain_benchmark", "instructions")} | checkpoints,
        config=config,
        kinds=frozenset({"torch", "huggingface"}),
    )


def stages_of(declared: Declared, recipe: str, last: str) -> tuple[str, ...]:
    """The stages of a recipe up to `last`, which it has."""
    names = [link.entry.called for link in chain(declared.recipes[recipe])]
    return tuple(names[: names.index(last) + 1])
