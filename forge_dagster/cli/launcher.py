"""Starts runs: plans, reaps the dead, executes through Dagster, and mirrors what stands into its storage."""

import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import psutil

from assets.hop import Hop
from forge_dagster.cli.plan import Planned, is_work, needs_torch, plan
from forge_dagster.declared import Declared
from forge_dagster.environment import prepare_dagster_home
from forge_dagster.errors import InterruptedRun
from forge_dagster.home import Home
from forge_dagster.provenance.locks import lock
from forge_dagster.provenance.run import Run
from forge_dagster.provenance.store import ArtifactStore
from resources.executor import HEAVY, LIGHT
from resources.presentation import metadata_of
from resources.store import ACTOR_TAG, FORCE_TAG, LAUNCH_TAG, actor, freeze

PROCESS_TAG = "forge/process"
START_SLACK = 1.0  # seconds by which two readings of a process's start may differ


@dataclass
class Launch:
    """What one `forge run` did: each artifact's output entry, and every error."""

    run: Run
    planned: list[Planned]
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


def source_job() -> dg.JobDefinition:
    """The job of one source, for Dagster to find again in a step's process."""
    from forge_dagster.definitions import defs

    return defs.resolve_job_def("source")


def models_job() -> dg.JobDefinition:
    """The job of everything that joins the sources, for Dagster to find again in a step's process."""
    from forge_dagster.definitions import defs

    return defs.resolve_job_def("models")


def launch(
    home: Home, declared: Declared, hops: Sequence[Hop], chosen: Sequence[Hop], *, force: bool, launch_id: str
) -> Launch:
    """Bring `chosen` up to date: one Dagster run per changed source, then one for the rest.

    `hops` holds the chosen and their ancestors, in order.
    """
    started = time.monotonic()
    run = Run(home, launch_id)
    # Two first runs at once would both create the tables of Dagster's storage.
    with lock(home.work / "locks" / "dagster.lock", what="Dagster's storage", wait=120, waiting=print):
        prepare_dagster_home()
        opened = open_instance()
    with opened as instance:
        reap(instance)
        freeze(run, actor(), declared)
        result = Launch(run=run, planned=plan(home, declared, hops, chosen, verify=True))
        mirror(instance, home, [item for item in result.planned if item.state == "current"])
        todo = list(result.planned) if force else [item for item in result.planned if is_work(item)]
        heavy = force or needs_torch(todo)
        for partition in sorted({item.hop.partition for item in todo if item.hop.partition}):
            batch = [item.hop for item in todo if item.hop.partition == partition]
            if not execute(instance, run, batch, partition=partition, force=force, heavy=heavy):
                break
        else:
            # A source made again may come out the same: then what follows from it stands, and waits for nothing.
            result.planned = plan(home, declared, hops, chosen, verify=False)
            rest = [item for item in result.planned if item.hop.partition is None]
            mirror(instance, home, [item for item in rest if not is_work(item)])
            batch = [item.hop for item in rest if force or is_work(item)]
            if batch:
                execute(instance, run, batch, partition=None, force=force, heavy=heavy)
    result.outputs, result.errors = run.outputs(), run.errors()
    result.seconds = time.monotonic() - started
    return result


def open_instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME with its tables in place."""
    instance = dg.DagsterInstance.get()
    instance.get_runs(limit=1)
    return instance


def execute(
    instance: dg.DagsterInstance,
    run: Run,
    hops: Sequence[Hop],
    *,
    partition: str | None,
    force: bool,
    heavy: bool,
) -> bool:
    """Run these assets' steps in their own processes. Return whether all succeeded."""
    process = psutil.Process()
    tags = {
        LAUNCH_TAG: run.run_id,
        ACTOR_TAG: actor(),
        PROCESS_TAG: f"{process.pid}:{process.create_time()}",
        **({"dagster/partition": partition} if partition else {}),
        **({FORCE_TAG: "true"} if force else {}),
    }
    try:
        result = dg.execute_job(
            dg.reconstructable(source_job if partition else models_job),
            instance=instance,
            asset_selection=sorted({dg.AssetKey(hop.asset.split("/")) for hop in hops}),
            tags=tags,
            run_config={
                "execution": {"config": {"preload": HEAVY if heavy else LIGHT}},
                # The events go to Dagster's storage; the terminal belongs to the progress bars.
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            raise_on_error=False,
        )
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as error:
        raise interrupted() from error
    if any(_was_interrupted(event) for event in result.all_events):
        raise interrupted()
    return result.success


def interrupted() -> InterruptedRun:
    """What a run that was stopped from outside ends with."""
    return InterruptedRun(
        "stopped by a signal", rule="what was made stands", mend="run the same command again; it goes on from there"
    )


def _was_interrupted(event: dg.DagsterEvent) -> bool:
    if not event.is_job_failure:
        return False
    error = event.job_failure_data.error
    return error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__


def reap(instance: dg.DagsterInstance) -> None:
    """Mark runs as failed whose `forge` process is gone: nobody else would."""
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for run in instance.get_runs(unfinished):
        mark = run.tags.get(PROCESS_TAG)
        if mark and not _lives(mark):
            instance.report_run_failed(run, f"the process {mark.split(':')[0]} that ran it is gone")


def _lives(mark: str) -> bool:
    pid, _, created = mark.partition(":")
    if not psutil.pid_exists(int(pid)):
        return False
    return abs(psutil.Process(int(pid)).create_time() - float(created)) < START_SLACK


def mirror(instance: dg.DagsterInstance, home: Home, items: Sequence[Planned]) -> None:
    """Tell Dagster of versions that stand in the store and that it does not know as the latest."""
    store = ArtifactStore(home.artifacts)
    for item in items:
        key = dg.AssetKey(item.hop.asset.split("/"))
        if _mirrored(instance, key, item.hop.partition) == item.digest or item.digest is None:
            continue
        record = store.record(item.hop.key, item.digest)
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                asset_key=key,
                partition=item.hop.partition,
                metadata=metadata_of(record, store.version(item.hop.key, item.digest)),
                tags={"dagster/data_version": item.digest},
            )
        )


def _mirrored(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None) -> str | None:
    """Data version of the latest materialization Dagster knows of."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None), limit=1
    ).records
    if not records or records[0].asset_materialization is None:
        return None
    return (records[0].asset_materialization.tags or {}).get("dagster/data_version")


def new_launch_id() -> str:
    """Identifier of one `forge run`; sorts by time and cannot collide."""
    return f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
