"""The jobs: one source's documents, all that joins the sources, each recipe by itself, decisions."""

from collections.abc import Iterable

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.exports import GROUP as EXPORTS
from resources.tags import RECIPE_TAG

PER_SOURCE = dg.AssetSelection.assets("raw_documents", "clean_documents")

SOURCE = dg.define_asset_job("source", PER_SOURCE, description="Read and clean one source's documents.")
DECIDED = dg.AssetSelection.groups("retraining")

EXPORTED = dg.AssetSelection.groups(EXPORTS)

MODELS = dg.define_asset_job(
    "models", dg.AssetSelection.all() - PER_SOURCE - DECIDED - EXPORTED, description="All that joins the sources."
)
EXPORT = dg.define_asset_job(
    "export", EXPORTED, description="Make the releases that serve into files of other runtimes, and judge these."
)
EVALUATION = dg.define_asset_job(
    "evaluation",
    DECIDED | (DECIDED.upstream() & dg.AssetSelection.groups("documents", "tokens") - PER_SOURCE),
    description="Measure the models that serve on the documents as they were last read; trains and scores no other.",
)
DECISIONS = dg.define_asset_job("decisions", DECIDED, description="Decide which recipes are trained again.")


def recipe_job_name(recipe: str) -> str:
    """Dagster allows no hyphen in the name of a job."""
    return f"recipe_{recipe.replace('-', '_')}"


def recipe_jobs(recipes: Iterable[str]) -> list[UnresolvedAssetJobDefinition]:
    """One saved job for each recipe: its model, and what that is made from, from the split on."""
    return [_recipe_job(name) for name in recipes]


def _recipe_job(name: str) -> UnresolvedAssetJobDefinition:
    own = dg.AssetSelection.key_prefixes([name])
    return dg.define_asset_job(
        recipe_job_name(name),
        own.upstream() - PER_SOURCE - DECIDED,
        tags={RECIPE_TAG: name},
        description=f"Train, score and release {name} on the documents as they were last read.",
    )
