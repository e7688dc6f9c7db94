"""A failed run is told once, without a word of a document; one that is retried, and maintenance, are not."""

from collections.abc import Iterator

import dagster as dg
import pytest

from forge_dagster.automation import Sensor
from forge_dagster.errors import VerdictError
from resources.tags import MAINTENANCE_TAG
from sensors.run_failures import notice_of, run_failures_sensor

SENTENCE = "the secret recipe of the house"


@dg.asset
def corpus() -> None:
    raise dg.Failure(f"refused: {SENTENCE}", allow_retries=False) from VerdictError(SENTENCE)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def fail(instance: dg.DagsterInstance, **tags: str) -> str:
    return dg.materialize([corpus], instance=instance, raise_on_error=False, tags=tags).run_id


def tick(instance: dg.DagsterInstance, cursor: str | None) -> tuple[list[dg.RunRequest], str]:
    sensor = run_failures_sensor(Sensor(every_seconds=30))
    found = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor))
    return list(found.run_requests), str(found.cursor)


def test_each_failure_is_asked_for_once_and_older_ones_never(instance: dg.DagsterInstance):
    fail(instance)
    asked, start = tick(instance, None)
    assert asked == []
    first, second = fail(instance), fail(instance)
    asked, cursor = tick(instance, start)
    assert [request.run_key for request in asked] == [f"failed {first}", f"failed {second}"]
    assert tick(instance, start)[0] == asked, "the same state gives the same answer"
    assert tick(instance, cursor)[0] == []


def test_who_is_tried_again_and_who_looks_after_others_is_not_told_of(instance: dg.DagsterInstance):
    fail(instance)
    _, start = tick(instance, None)
    fail(instance, **{MAINTENANCE_TAG: "true"})
    retried = fail(instance)
    instance.add_run_tags(retried, {"dagster/will_retry": "true"})
    assert tick(instance, start)[0] == []


def test_the_first_failure_of_an_empty_home_is_told(instance: dg.DagsterInstance):
    _, start = tick(instance, None)
    run = fail(instance)
    assert [request.run_key for request in tick(instance, start)[0]] == [f"failed {run}"]


def test_a_notice_names_run_steps_and_kinds_of_error_and_quotes_nothing(instance: dg.DagsterInstance):
    run = fail(instance, **{"dagster/partition": "handbooks"})
    notice = notice_of(instance, run)
    assert notice.facts == {
        "run": run, "job": "__ephemeral_asset_job__", "steps": "corpus", "partition": "handbooks",
        "errors": "VerdictError",
    }  # fmt: skip
    assert SENTENCE not in notice.model_dump_json()
