"""Tells people that a run failed and will not be tried again; a job tells, a sensor asks for it."""

import dagster as dg

from forge_dagster.automation import Sensor
from resources.executor import maintenance_executor
from resources.notifier import Notice, Notifier
from resources.tags import MAINTENANCE_TAG, RECIPE_TAG
from sensors.runs import status_of

WILL_RETRY_TAG = "dagster/will_retry"
MOST_AT_ONCE = 20  # failures that one tick asks to tell of


class FailedRun(dg.Config):
    """Which run failed."""

    run_id: str


@dg.op(description="Tell of one failed run: its job, partition, steps and kinds of error; no message, no text.")
def tell_run_failure(context: dg.OpExecutionContext, config: FailedRun, notifier: Notifier) -> None:
    """Raises dagster.Failure if a target could not be reached."""
    notifier.tell(context, notice_of(context.instance, config.run_id))


def notice_of(instance: dg.DagsterInstance, run_id: str) -> Notice:
    """What is told of a failed run. Messages of errors stay inside: they may quote documents."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        raise dg.Failure(f"run {run_id} is not there any more", allow_retries=False)
    failed = [
        entry.dagster_event
        for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        if entry.dagster_event is not None
    ]
    facts = {"run": run_id, "job": run.job_name, "steps": ", ".join(str(event.step_key) for event in failed) or "none"}
    for name, tag in (("partition", "dagster/partition"), ("recipe", RECIPE_TAG)):
        if tag in run.tags:
            facts[name] = run.tags[tag]
    causes = [event.step_failure_data.error for event in failed]
    kinds = sorted({(cause.cause or cause).cls_name or "unknown" for cause in causes if cause is not None})
    facts["errors"] = ", ".join(kinds) or "its process ended"
    return Notice(kind="run_failure", subject=f"forge: run {run_id[:8]} of {run.job_name} failed", facts=facts)


@dg.job(executor_def=maintenance_executor, tags={MAINTENANCE_TAG: "true"})
def tell_of_failure() -> None:
    """Tell people of a failed run."""
    tell_run_failure()


def run_failures_sensor(settings: Sensor) -> dg.SensorDefinition:
    """The sensor `run_failures`: follows the failures in the order in which they were stored."""

    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if context.cursor is None:
            last = context.instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1)
            context.update_cursor(last.cursor)
            return dg.SkipReason("follows the failures from now on")
        found = context.instance.fetch_run_status_changes(
            dg.DagsterEventType.RUN_FAILURE, cursor=context.cursor, ascending=True, limit=MOST_AT_ONCE
        )
        runs = [context.instance.get_run_by_id(record.event_log_entry.run_id) for record in found.records]
        return dg.SensorResult(
            run_requests=[_request(run.run_id) for run in runs if run is not None and _is_worth_telling(run)],
            cursor=found.cursor,
        )

    return dg.SensorDefinition(
        name="run_failures",
        evaluation_fn=look,
        job=tell_of_failure,
        minimum_interval_seconds=settings.every_seconds,
        default_status=status_of(settings),
        description="Asks that people be told of each run that failed and is not tried again by itself.",
    )


def _request(run_id: str) -> dg.RunRequest:
    config = dg.RunConfig(ops={"tell_run_failure": FailedRun(run_id=run_id)})
    return dg.RunRequest(run_key=f"failed {run_id}", run_config=config)


def _is_worth_telling(run: dg.DagsterRun) -> bool:
    return MAINTENANCE_TAG not in run.tags and run.tags.get(WILL_RETRY_TAG) != "true"
