"""Schedules ask for each partition once a tick, and keep their hour when summer time begins and ends."""

from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from forge_dagster.automation import Schedule, Schedules
from forge_dagster.declared import load_declared
from resources.tags import FULL_TAG
from sensors.schedules import schedules

ZONE = ZoneInfo("Europe/Stockholm")
OFF = Schedules()
ON = Schedule(enabled=True, cron="30 2 * * *", time_zone="Europe/Stockholm")


def made(settings: Schedules = OFF) -> dict[str, dg.ScheduleDefinition]:
    return {each.name: each for each in schedules(settings, load_declared())}


def test_they_are_off_unless_a_person_says_otherwise():
    assert {each.default_status for each in made().values()} == {dg.DefaultScheduleStatus.STOPPED}
    on = made(Schedules(nightly_refresh=ON))
    assert on["nightly_refresh"].default_status == dg.DefaultScheduleStatus.RUNNING
    assert on["monthly_retrain"].default_status == dg.DefaultScheduleStatus.STOPPED


@pytest.mark.parametrize("name", ["nightly_refresh", "weekly_evaluation", "monthly_retrain"])
def test_one_tick_asks_once_and_the_same_however_often_it_is_evaluated(name: str):
    from forge_dagster.definitions import defs

    schedule, repository = made()[name], defs.get_repository_def()
    when = datetime(2026, 3, 1, 2, 30, tzinfo=ZONE)

    def asked() -> list[dg.RunRequest]:
        context = dg.build_schedule_context(scheduled_execution_time=when, repository_def=repository)
        return list(schedule.evaluate_tick(context).run_requests)

    first = asked()
    partitions = [None] if name != "nightly_refresh" else ["sample"]
    assert [request.partition_key for request in first] == partitions
    assert [request.run_key for request in first] == [request.run_key for request in asked()]
    assert [FULL_TAG in request.tags for request in first] == [name == "monthly_retrain"]


@pytest.mark.parametrize(
    ("first", "hours"),
    [
        # 02:30 does not exist on 29 March 2026: one tick all the same, at the end of the gap.
        ((2026, 3, 28), ["28 02:30", "29 03:00", "30 02:30"]),
        # 02:30 comes twice on 25 October 2026: one tick.
        ((2026, 10, 24), ["24 02:30", "25 02:30", "26 02:30"]),
    ],
)
def test_a_night_has_one_tick_when_the_clocks_change(first: tuple[int, int, int], hours: list[str]):
    schedule = made(Schedules(nightly_refresh=ON))["nightly_refresh"]
    start = datetime(*first, tzinfo=ZONE)
    found = schedule_execution_time_iterator(
        start.timestamp(), str(schedule.cron_schedule), schedule.execution_timezone
    )
    assert [next(found).astimezone(ZONE).strftime("%d %H:%M") for _ in range(3)] == hours


def test_every_recipe_has_a_saved_job():
    from forge_dagster.definitions import defs

    for name in load_declared().recipes:
        job = defs.resolve_job_def(f"recipe_{name.replace('-', '_')}")
        keys = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
        assert f"{name}/release" in keys
        assert "corpus" in keys
        assert "clean_documents" not in keys
        assert job.tags["forge/recipe"] == name
    evaluation = {key.to_user_string() for key in defs.resolve_job_def("evaluation").asset_layer.executable_asset_keys}
    assert not [key for key in evaluation if key.endswith("_checkpoint")]
    assert {"tiny-dense/retraining_decision", "domain_benchmark", "corpus", "token_shards/bpe-2048"} <= evaluation
