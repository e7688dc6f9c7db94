"""The sensor only looks, asks once for one state, and maintenance goes past a full queue."""

import dagster as dg
import pytest

from forge_dagster.automation import Sensor
from forge_dagster.home import Home
from resources.coordinator import MaintenanceFirst
from resources.healing import heal
from resources.instance import prepare_dagster_home
from resources.process import mark_of_this_process
from resources.tags import MAINTENANCE_TAG, PROCESS_TAG
from sensors.stale_runs import maintenance, stale_runs_sensor


@dg.op
def nothing() -> None: ...


@dg.job
def work() -> None:
    nothing()


def test_it_asks_for_maintenance_while_a_run_has_no_process(home: Home):
    prepare_dagster_home()
    sensor = stale_runs_sensor(Sensor(enabled=True, every_seconds=10))
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    with dg.DagsterInstance.get() as instance:
        context = dg.build_sensor_context(instance=instance)
        assert sensor.evaluate_tick(context).skip_message == "every run has its process"
        run = instance.create_run_for_job(work)
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", job_name="work"), run.run_id)
        gone = mark_of_this_process(run.run_id).model_copy(update={"started": 1})
        instance.add_run_tags(run.run_id, {PROCESS_TAG: gone.model_dump_json()})
        keys = [sensor.evaluate_tick(context).run_requests[0].run_key for _ in range(2)]
        assert keys[0] == keys[1]
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.STARTED
        assert maintenance.execute_in_process(instance=instance).success
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
        assert sensor.evaluate_tick(context).skip_message == "every run has its process"
        assert heal(instance) == {}


@pytest.mark.parametrize(("tags", "queued"), [({}, True), ({MAINTENANCE_TAG: "true"}, False)])
def test_maintenance_is_launched_at_once_and_work_is_queued(
    home: Home, monkeypatch: pytest.MonkeyPatch, tags: dict[str, str], queued: bool
):
    prepare_dagster_home()
    launched: list[str] = []
    waiting: list[str] = []
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.run_coordinator, MaintenanceFirst)
        run = instance.create_run_for_job(work, tags=tags)
        monkeypatch.setattr(instance, "launch_run", lambda run_id, workspace: launched.append(run_id))
        monkeypatch.setattr(
            dg.QueuedRunCoordinator, "submit_run", lambda self, context: waiting.append(context.dagster_run.run_id)
        )
        instance.run_coordinator.submit_run(dg.SubmitRunContext(run, workspace=None))
    assert (waiting, launched) == (([run.run_id], []) if queued else ([], [run.run_id]))
