"""What sensors share: whether they run from the start, and what they ask of Dagster's runs."""

from collections.abc import Collection, Iterable

import dagster as dg

from assets.asset import dagster_key
from forge_dagster.automation import Sensor

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def status_of(settings: Sensor) -> dg.DefaultSensorStatus:
    """Whether Dagster runs a sensor from the start."""
    return dg.DefaultSensorStatus.RUNNING if settings.enabled else dg.DefaultSensorStatus.STOPPED


def reading(instance: dg.DagsterInstance, partitions: Iterable[str]) -> str:
    """Id of an unfinished run of one of these partitions, if there is one."""
    for partition in partitions:
        wanted = dg.RunsFilter(statuses=UNFINISHED, tags={"dagster/partition": partition})
        for run in instance.get_runs(wanted, limit=1):
            return run.run_id
    return ""


def unfinished(instance: dg.DagsterInstance, assets: Collection[str]) -> str:
    """Id of an unfinished run that makes one of these assets, or documents of a source; empty if there is none."""
    wanted = {*map(dagster_key, assets), dg.AssetKey("raw_documents"), dg.AssetKey("clean_documents")}
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        if run.asset_selection is None or wanted & run.asset_selection:
            return run.run_id
    return ""
