"""Runs as Dagster's storage has them, by its indexes; the folder of runs is not walked."""

from typing import Any

import dagster as dg

from resources.instance import prepare_dagster_home
from resources.tags import actor_of, launch_of


def recent(most: int, before: str | None = None) -> list[dict[str, Any]]:
    """The newest runs as plain data, newest first; those older than the run `before`, if it is given."""
    prepare_dagster_home()
    with dg.DagsterInstance.get() as instance:
        return [_told(record) for record in instance.get_run_records(limit=most, cursor=before)]


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
