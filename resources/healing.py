"""Runs whose processes were killed with all that watched them: found by their mark, failed, their slots freed."""

import time

import dagster as dg

from resources.process import Mark, is_gone
from resources.tags import PROCESS_TAG

WITHOUT_A_MARK = (
    600.0  # seconds that a started run may be without a mark: it takes milliseconds, unless all stands still
)


def stale_runs(instance: dg.DagsterInstance) -> list[tuple[dg.DagsterRun, str]]:
    """Runs that nobody executes any more, and why that is known; changes nothing."""
    found = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        why = _why_stale(record)
        if why:
            found.append((record.dagster_run, why))
    return found


def _why_stale(record: dg.RunRecord) -> str:
    run = record.dagster_run
    text = run.tags.get(PROCESS_TAG)
    mark = Mark.model_validate_json(text) if text else None
    if mark is not None and mark.run == run.run_id:
        return f"process {mark.pid} of {mark.host}, which executed it, is gone" if is_gone(mark) else ""
    begun = record.start_time
    if begun is not None and time.time() - begun > WITHOUT_A_MARK:
        return f"no process took it up within {WITHOUT_A_MARK:.0f} s"
    return ""


def slots_left_behind(instance: dg.DagsterInstance) -> list[str]:
    """Ids of finished runs that still hold slots of a pool; changes nothing."""
    holding = instance.event_log_storage.get_concurrency_run_ids()
    runs = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(run_ids=list(holding)))} if holding else {}
    return sorted(run_id for run_id in holding if run_id not in runs or runs[run_id].is_finished)


def heal(instance: dg.DagsterInstance) -> dict[str, str]:
    """Mark stale runs as failed and free the slots of finished ones; return what was failed, and why.

    Dagster's own run retries take it from there: a failure that no step reported is one of the processes.
    """
    failed = {}
    for run, why in stale_runs(instance):
        instance.report_run_failed(run, why)
        failed[run.run_id] = why
    for run_id in slots_left_behind(instance):
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return failed
