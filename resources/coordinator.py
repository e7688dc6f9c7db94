"""The queue of runs: what came by the web says who asked for it, and maintenance goes past all that waits."""

import os

from dagster import DagsterRun, DagsterRunStatus, QueuedRunCoordinator, SubmitRunContext

from forge_dagster.provenance.actor import HEADER_VARIABLE
from resources.tags import ASKED_TAG, MAINTENANCE_TAG


class MaintenanceFirst(QueuedRunCoordinator):
    """Launches runs that carry MAINTENANCE_TAG at once, and queues the others within the limits of dagster.yaml.

    Runs that are stuck must not keep out the one that frees them.
    """

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        run = context.dagster_run
        header = os.environ.get(HEADER_VARIABLE)
        if header and (who := context.get_request_header(header)):
            self._instance.add_run_tags(run.run_id, {ASKED_TAG: f"{run.run_id} user:{who}"})
        if MAINTENANCE_TAG not in run.tags or run.status != DagsterRunStatus.NOT_STARTED:
            return super().submit_run(context)
        return self._instance.launch_run(run.run_id, context.workspace)
