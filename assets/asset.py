"""A hop, or the hops of one asset's partitions, as a Dagster asset."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets.hop import Hop
from forge_dagster.compute_profile import KubernetesProfile, profile
from forge_dagster.provenance.build import stage_of
from forge_dagster.provenance.code_version import code_version
from forge_dagster.training.execution import execution
from resources.pods import step_config
from resources.store import Store

CRASHED = dg.RetryPolicy(max_retries=2, delay=5)
"""For a step whose process was killed, by the kernel for want of memory perhaps: it goes on from its checkpoint.
Whatever the code itself reports says that it allows no retry."""

CPU_POOL, GPU_POOL = "cpu", "gpu"
"""What one step at a time may use on this machine; dagster.yaml gives each pool one slot.

DVC has no pool: its one writer is kept by a lock, for commands outside Dagster write too.
"""


def pool_of(hop: Hop) -> str | None:
    """Stages that compute floats use every core, or the GPU; on a cluster each pod has its own."""
    if not stage_of(hop.module).computes_floats or isinstance(profile(), KubernetesProfile):
        return None
    return GPU_POOL if execution().device == "cuda" else CPU_POOL


def pod_of(hop: Hop) -> dict[str, Any]:
    """Tags that say what the pod of a step takes, where the compute profile names a cluster."""
    found = profile()
    if not isinstance(found, KubernetesProfile):
        return {}
    parallel = stage_of(hop.module).parallel
    pod, starts_hosts = found.step(hop.asset, parallel=parallel), found.starts_hosts(parallel=parallel)
    return {"dagster-k8s/config": step_config(pod, cores=found.pod(hop.asset).cores, starts_hosts=starts_hosts)}


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
        deps=sorted(
            {dagster_key(asset_of[upstream]) for hop in group for upstream in hop.inputs.values()}
            | {dagster_key(asset) for hop in group for asset in hop.shown_after}
        ),
        partitions_def=dg.StaticPartitionsDefinition(partitions) if partitions else None,
        code_version=code_version(first.module),
        check_specs=[dg.AssetCheckSpec(name, asset=key) for name in stage_of(first.module).check_names],
        description=first.description,
        group_name=first.group,
        kinds=set(first.kinds),
        pool=pool_of(first),
        op_tags=pod_of(first),
        retry_policy=CRASHED,
        output_required=False,
    )
    def artifact(
        context: dg.AssetExecutionContext, store: Store
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        partition = context.partition_key if context.has_partition_key else None
        yield from store.materialize(context, by_partition[partition].order)

    return artifact
