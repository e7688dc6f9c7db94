"""A hop, or the hops of one asset's partitions, as a Dagster asset."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets.hop import Hop
from forge_dagster.provenance.build import stage_of
from forge_dagster.provenance.code_version import code_version
from resources.store import Store


def dagster_key(asset: str) -> dg.AssetKey:
    """Dagster's key of an asset name joined by slashes."""
    return dg.AssetKey(asset.split("/"))


def dagster_assets(hops: Sequence[Hop]) -> list[dg.AssetsDefinition]:
    """One Dagster asset for each asset name among `hops`."""
    asset_of = {hop.key: hop.asset for hop in hops}
    grouped: dict[str, list[Hop]] = {}
    for hop in hops:
        grouped.setdefault(hop.asset, []).append(hop)
    return [_dagster_asset(group, asset_of) for group in grouped.values()]


def _dagster_asset(group: list[Hop], asset_of: dict[str, str]) -> dg.AssetsDefinition:
    first = group[0]
    by_partition = {hop.partition: hop for hop in group}
    partitions = [hop.partition for hop in group if hop.partition is not None]
    key = dagster_key(first.asset)

    @dg.asset(
        key=key,
        deps=sorted({dagster_key(asset_of[upstream]) for hop in group for upstream in hop.inputs.values()}),
        partitions_def=dg.StaticPartitionsDefinition(partitions) if partitions else None,
        code_version=code_version(first.module),
        check_specs=[dg.AssetCheckSpec(name, asset=key) for name in stage_of(first.module).check_names],
        description=first.description,
        group_name=first.group,
        kinds=set(first.kinds),
        output_required=False,
    )
    def artifact(
        context: dg.AssetExecutionContext, store: Store
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        partition = context.partition_key if context.has_partition_key else None
        yield from store.materialize(context, by_partition[partition].order)

    return artifact
