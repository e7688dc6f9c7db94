"""Work by the clock: sources read every night, what serves measured every week, recipes trained every month."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from assets.jobs import EVALUATION, MODELS, SOURCE
from forge_dagster.automation import Schedule, Schedules
from forge_dagster.declared import Declared
from resources.tags import FULL_TAG

Requests = Callable[[dg.ScheduleEvaluationContext], Iterator[dg.RunRequest]]


def schedules(settings: Schedules, declared: Declared) -> list[dg.ScheduleDefinition]:
    """The three schedules; each is on or off as automation.yaml says."""
    partitions = [name for placed in declared.sources.values() for name in placed.source.partitions]

    def refresh(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        for name in partitions:
            yield dg.RunRequest(run_key=_key(context, name), partition_key=name)

    def once(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        yield dg.RunRequest(run_key=_key(context, "all"))

    def in_full(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        yield dg.RunRequest(run_key=_key(context, "all"), tags={FULL_TAG: "true"})

    return [
        _schedule("nightly_refresh", settings.nightly_refresh, SOURCE, refresh),
        _schedule("weekly_evaluation", settings.weekly_evaluation, EVALUATION, once),
        _schedule("monthly_retrain", settings.monthly_retrain, MODELS, in_full),
    ]


def _schedule(name: str, settings: Schedule, job: Any, requests: Requests) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=settings.cron,
        execution_timezone=settings.time_zone,
        execution_fn=requests,
        default_status=dg.DefaultScheduleStatus.RUNNING if settings.enabled else dg.DefaultScheduleStatus.STOPPED,
    )


def _key(context: dg.ScheduleEvaluationContext, what: str) -> str:
    """One run of `what` for one tick, even if the daemon asks twice."""
    return f"{context.scheduled_execution_time.isoformat()} {what}"
