"""The Dagster code location: every asset with its policy, made from recipes and sources as they stand."""

from forge_dagster.environment import close

close()

import dagster as dg  # noqa: E402  (libraries read the environment when imported)

from assets.asset import dagster_assets  # noqa: E402
from assets.graph import all_hops  # noqa: E402
from forge_dagster.declared import load_declared  # noqa: E402
from resources.executor import step_executor  # noqa: E402
from resources.store import Store  # noqa: E402

OWNERS = ["team:ml-platform"]


def with_policy(spec: dg.AssetSpec) -> dg.AssetSpec:
    """What holds for every asset alike."""
    return spec.replace_attributes(owners=OWNERS)


per_source = dg.AssetSelection.assets("raw_documents", "clean_documents")

defs = dg.Definitions(
    assets=[asset.map_asset_specs(with_policy) for asset in dagster_assets(all_hops(load_declared()))],
    jobs=[
        dg.define_asset_job("source", per_source, description="Read and clean one source's documents."),
        dg.define_asset_job("models", dg.AssetSelection.all() - per_source, description="All that joins the sources."),
    ],
    resources={"store": Store()},
    executor=step_executor,
)
