"""Runs as Dagster's storage has them, by its indexes; the folder of runs is not walked."""

import os
from functools import cache
from typing import Any

import dagster as dg

from resources.instance import prepare_dagster_home
from resources.tags import actor_of, launch_of


def recent(most: int, before: str | None = None) -> list[dict[str, Any]]:
    """The newest runs as plain data, newest first; those older than the run `before`, if it is given."""
    return [_told(record) for record in _opened(os.environ["DAGSTER_HOME"]).get_run_records(limit=most, cursor=before)]


@cache
def _opened(dagster_home: str) -> dg.DagsterInstance:
    """Opened once a process: to open it takes longer than to ask it."""
    prepare_dagster_home()
    return dg.DagsterInstance.get()


def _told(record: dg.RunRecord) -> dict[str, Any]:
    run = record.dagster_run
    return {
        "run": run.run_id,
        "launch": launch_of(run),
        "job": run.job_name,
        "status": run.status.value,
        "actor": actor_of(run),
        "begun": record.start_time,
        "ended": record.end_time,
    }
