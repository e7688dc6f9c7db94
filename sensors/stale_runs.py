"""Takes up runs that were killed with everything that watched them: a job heals, a sensor asks for it."""

import hashlib
from collections.abc import Sequence

import dagster as dg

from forge_dagster.automation import Sensor
from resources.executor import maintenance_executor
from resources.healing import heal, slots_left_behind, stale_runs
from resources.tags import MAINTENANCE_TAG
from sensors.runs import status_of


@dg.op(description="Mark runs without a process as failed, so that they are retried; free slots that nobody uses.")
def heal_runs(context: dg.OpExecutionContext) -> None:
    """Every run that was failed is said in the log, with the reason."""
    for run_id, why in heal(context.instance).items():
        context.log.warning(f"run {run_id} is marked as failed: {why}")


@dg.job(executor_def=maintenance_executor, tags={MAINTENANCE_TAG: "true"})
def maintenance() -> None:
    """Look after runs whose processes were killed."""
    heal_runs()


def stale_runs_sensor(settings: Sensor) -> dg.SensorDefinition:
    """The sensor `stale_runs`: it only looks; the job marks, frees and lets Dagster retry."""

    def look(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        stale = sorted(run.run_id for run, _ in stale_runs(context.instance))
        holding = slots_left_behind(context.instance)
        if not stale and not holding:
            return dg.SkipReason("every run has its process")
        return dg.RunRequest(run_key=_key([*stale, *holding]))

    return dg.SensorDefinition(
        name="stale_runs",
        evaluation_fn=look,
        job=maintenance,
        minimum_interval_seconds=settings.every_seconds,
        default_status=status_of(settings),
        description="Asks for maintenance when a run has lost its process or a finished run still holds a slot.",
    )


def _key(run_ids: Sequence[str]) -> str:
    return hashlib.sha256(",".join(run_ids).encode()).hexdigest()
