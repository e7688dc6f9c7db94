"""Who starts a run is told by kind: a person, a schedule, a sensor, an agent."""

import dagster as dg
import pytest

from forge_dagster.errors import UserError
from forge_dagster.provenance.actor import actor, kind_of
from resources.tags import ACTOR_TAG, ASKED_TAG, RETRY_TAG, SCHEDULE_TAG, SENSOR_TAG, actor_of


def _run(parent: str | None = None, **tags: str) -> dg.DagsterRun:
    named = {"schedule": SCHEDULE_TAG, "sensor": SENSOR_TAG, "actor": ACTOR_TAG, "retry": RETRY_TAG, "user": "user"}
    return dg.DagsterRun(
        "job", tags={named[name]: value for name, value in tags.items()}, parent_run_id=parent, root_run_id=parent
    )


@pytest.mark.parametrize(
    ("tags", "who", "kind"),
    [
        ({"actor": "agent:tuner", "schedule": "nightly"}, "agent:tuner", "agent"),
        ({"schedule": "nightly_refresh", "user": "ada"}, "schedule:nightly_refresh", "schedule"),
        ({"sensor": "source_changes"}, "sensor:source_changes", "sensor"),
        ({"user": "ada"}, "user:ada", "person"),
    ],
)
def test_a_run_says_who_started_it(tags: dict[str, str], who: str, kind: str) -> None:
    assert actor_of(_run(**tags)) == who
    assert kind_of(who) == kind


def test_a_retry_is_of_its_first_actor_and_a_run_started_again_of_the_one_who_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORGE_ACTOR", "user:bo")
    assert actor_of(_run(parent="0", sensor="source_changes", retry="1")) == "sensor:source_changes"
    assert actor_of(_run(parent="0", sensor="source_changes")) == "user:bo"
    assert actor_of(_run()) == "user:bo"


def test_who_asked_by_the_web_is_the_actor_of_that_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_ACTOR", "user:bo")
    asked = dg.DagsterRun("job", tags={})
    told = asked.with_tags({ASKED_TAG: f"{asked.run_id} user:ada@example.org"})
    assert actor_of(told) == "user:ada@example.org"
    again = dg.DagsterRun("job", tags=told.tags, parent_run_id=told.run_id, root_run_id=told.run_id)
    assert actor_of(again) == "user:bo"


def test_without_a_variable_it_is_the_account() -> None:
    assert kind_of(actor({})) == "person"
    assert kind_of("somebody") == "unknown"


@pytest.mark.parametrize("given", ["ada", "robot:x", "agent:", "agent: ", ":x"])
def test_an_actor_of_no_kind_is_refused(given: str) -> None:
    with pytest.raises(UserError, match="KIND:NAME"):
        actor({"FORGE_ACTOR": given})
