"""Studies of recipes' settings: one asset each, whatever the number of its trials."""

from assets.hop import Hop
from assets.models import needed
from forge_dagster.declared import Declared
from forge_dagster.search.space import StudyConfig
from forge_dagster.stages.base import NEEDS
from forge_dagster.study import Study


def study_key(name: str) -> str:
    """Artifact key of a study."""
    return f"study/{name}"


def study_hops(declared: Declared) -> list[Hop]:
    """One hop for each study."""
    return [_hop(study, declared) for study in declared.studies.values()]


def _hop(study: Study, declared: Declared) -> Hop:
    recipe = declared.recipes[study.recipe]
    judged = ["corpus"] if recipe.limits else []

    def config(frozen: Declared) -> StudyConfig:
        chosen = frozen.studies[study.name]
        return StudyConfig(study=chosen, recipe=frozen.recipes[chosen.recipe])

    return Hop(
        asset=study_key(study.name),
        module="forge_dagster.search.trials",
        description="Settings of a recipe tried on small proxies, and the recipe that they propose.",
        group="studies",
        inputs={name: needed(recipe, name) for name in ("tokenizer", *NEEDS, *judged)},
        config=config,
        kinds=frozenset({"torch", "optuna"}),
    )
