"""Starts runs: plans, heals, executes through Dagster, and mirrors what stands into its storage."""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from assets.asset import dagster_key
from assets.documents import PER_SOURCE
from assets.hop import Hop
from forge_dagster.cli.forecast import Agree, anything
from forge_dagster.cli.plan import Planned, is_work, plan
from forge_dagster.declared import Declared
from forge_dagster.errors import BusyError, InterruptedRun
from forge_dagster.home import Home
from forge_dagster.provenance.actor import actor
from forge_dagster.provenance.locks import lock
from forge_dagster.provenance.run import Run
from forge_dagster.versions.track import after_runs
from resources.completeness import Completeness, compare, note
from resources.database import plain_database_errors
from resources.executor import execution_config
from resources.healing import heal
from resources.index import Index, PlaceOf
from resources.instance import prepare_dagster_home
from resources.store import freeze
from resources.tags import ACTOR_TAG, FORCE_TAG, LAUNCH_TAG, MAX_RETRIES_TAG

Job = Callable[[], dg.JobDefinition]


@dataclass
class Launch:
    """What one `forge run` did: each artifact's output entry, and every error."""

    run: Run
    planned: list[Planned]
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)
    """Why versions that stand have no pointer of DVC yet; the next run or push gives it."""
    seconds: float = 0.0


def source_job() -> dg.JobDefinition:
    """The job of one source, for Dagster to find again in a step's process."""
    from forge_dagster.definitions import defs

    return defs.resolve_job_def("source")


def models_job() -> dg.JobDefinition:
    """The job of everything that joins the sources, for Dagster to find again in a step's process."""
    from forge_dagster.definitions import defs

    return defs.resolve_job_def("models")


def export_job() -> dg.JobDefinition:
    """The job of exports, for Dagster to find again in a step's process."""
    from forge_dagster.definitions import defs

    return defs.resolve_job_def("export")


def launch(
    home: Home,
    declared: Declared,
    hops: Sequence[Hop],
    chosen: Sequence[Hop],
    *,
    force: bool,
    launch_id: str,
    agree: Agree = anything,
    job: Job = models_job,
) -> Launch:
    """Bring `chosen` up to date: one Dagster run per changed source, then one of `job` for the rest.

    `hops` holds the chosen and their ancestors, in order. `agree` raises if what would be done is not what was wanted.
    """
    started = time.monotonic()
    run = Run(home, launch_id)
    with open_healed(home) as instance:
        freeze(run, actor(), declared)
        result = Launch(run=run, planned=plan(home, declared, hops, chosen, verify=True))
        agree(result.planned)
        index = Index(instance, home, place_of(hops))
        mirror(index, [item for item in result.planned if item.state == "current"])
        todo = list(result.planned) if force else [item for item in result.planned if is_work(item)]
        modules = sorted({item.hop.module for item in todo})
        for partition in sorted({item.hop.partition for item in todo if item.hop.partition}):
            batch = [item.hop for item in todo if item.hop.partition == partition]
            if not execute(instance, run, batch, source_job, partition=partition, force=force, modules=modules):
                break
        else:
            # A source made again may come out the same: then what follows from it stands, and waits for nothing.
            result.planned = plan(home, declared, hops, chosen, verify=False)
            rest = [item for item in result.planned if item.hop.partition is None]
            mirror(index, [item for item in rest if not is_work(item)])
            batch = [item.hop for item in rest if force or is_work(item)]
            if batch:
                execute(instance, run, batch, job, partition=None, force=force, modules=modules)
    result.outputs, result.errors = run.outputs(), run.errors()
    result.untracked = after_runs(home)
    result.seconds = time.monotonic() - started
    return result


def _alone(home: Home) -> AbstractContextManager[None]:
    """Held while Dagster's storage is opened: two first runs at once would both create its tables."""
    return lock(home.work / "locks" / "dagster.lock", what="Dagster's storage", wait=120, waiting=print)


@contextmanager
def open_healed(home: Home) -> Iterator[dg.DagsterInstance]:
    """The instance of DAGSTER_HOME with its tables in place and no stale run; errors of its database in plain words.

    Raises BusyError if another process holds the database, IntegrityError if its file is damaged.
    """
    with plain_database_errors(), ExitStack() as stack:
        with _alone(home):
            prepare_dagster_home()
            instance = stack.enter_context(dg.DagsterInstance.get())
            instance.get_runs(limit=1)
        heal(instance)
        yield instance


@contextmanager
def no_run_in_progress(home: Home) -> Iterator[None]:
    """Let no run begin by `forge run` while the body works. Raises BusyError if one is under way."""
    with plain_database_errors(), _alone(home):
        prepare_dagster_home()
        with dg.DagsterInstance.get() as instance:
            heal(instance)
            under_way = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
            runs = [run.run_id for run in instance.get_runs(under_way)]
        if runs:
            raise BusyError(
                f"run {runs[0]} is under way",
                rule="a run may still read a version that is no longer current",
                mend="wait for it, or stop it, then run the same command again",
            )
        yield


def place_of(hops: Sequence[Hop]) -> PlaceOf:
    """Where Dagster shows an artifact: as its hop says, or as its key does if no hop has it any more."""
    known = {hop.key: (hop.asset, hop.partition) for hop in hops}

    def place(key: str) -> tuple[str, str | None]:
        asset, _, partition = key.partition("/")
        return known.get(key) or ((asset, partition) if asset in PER_SOURCE else (key, None))

    return place


def rebuild_index(home: Home, hops: Sequence[Hop]) -> dict[str, int]:
    """Make Dagster's history of artifacts again; return how many versions were told, known and gone."""
    with open_healed(home) as instance:
        return Index(instance, home, place_of(hops)).rebuild()


def completeness(home: Home, hops: Sequence[Hop]) -> Completeness:
    """Compare the ledger with Dagster's history, both ways, and state in the ledger what was found."""
    with open_healed(home) as instance:
        found = compare(instance, home, place_of(hops), [hop.key for hop in hops])
    note(home, found)
    return found


def mirror(index: Index, items: Sequence[Planned]) -> None:
    """Tell Dagster of versions that stand in the store and that it does not know as the latest."""
    for item in items:
        if item.digest is not None:
            index.mirror(item.hop.key, item.digest)


def execute(
    instance: dg.DagsterInstance,
    run: Run,
    hops: Sequence[Hop],
    job: Job,
    *,
    partition: str | None,
    force: bool,
    modules: Sequence[str],
) -> bool:
    """Run these assets' steps of `job` in their own processes. Return whether all succeeded."""
    tags = {
        LAUNCH_TAG: run.run_id,
        ACTOR_TAG: actor(),
        MAX_RETRIES_TAG: "0",  # the same command goes on; a daemon would do so at a time nobody chose
        **({"dagster/partition": partition} if partition else {}),
        **({FORCE_TAG: "true"} if force else {}),
    }
    try:
        result = dg.execute_job(
            dg.reconstructable(job),
            instance=instance,
            asset_selection=sorted({dagster_key(hop.asset) for hop in hops}),
            tags=tags,
            run_config={
                "execution": {"config": execution_config(modules)},
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


def new_launch_id() -> str:
    """Identifier of one `forge run`; sorts by time and cannot collide."""
    return f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
