"""Tags by which runs of Dagster are told apart, and the run folder that a Dagster run writes into."""

import dagster as dg

from forge_dagster.provenance.actor import actor

LAUNCH_TAG = "forge/launch"
"""The run folder of a run: what was frozen at launch, what its steps made."""
ACTOR_TAG = "forge/actor"
FORCE_TAG = "forge/force"
FULL_TAG = "forge/full"
"""Of runs that train from scratch whatever the retraining policies say."""
PROCESS_TAG = "forge/process"
"""Mark of the process that executes a run."""
MAINTENANCE_TAG = "forge/maintenance"
"""Of runs that look after other runs: they wait in no queue, and nobody is told when one fails."""
RECIPE_TAG = "forge/recipe"
SCHEDULE_TAG, SENSOR_TAG = "dagster/schedule_name", "dagster/sensor_name"
ASKED_TAG = "forge/asked_by"
"""Who asked for this very run, by the login before the web server; the tags of a run are copied to its successors."""
MAX_RETRIES_TAG = "dagster/max_retries"
RETRY_TAG = "dagster/retry_number"


def launch_of(run: dg.DagsterRun) -> str:
    """Name of the folder in runs/ that a Dagster run belongs to.

    A retry that Dagster starts by itself goes on in the folder of the run that failed, so it reads what that one froze.
    A person who starts a run again wants what is declared now, although the tags are copied.
    """
    if run.parent_run_id is not None and RETRY_TAG not in run.tags:
        return run.run_id
    return run.tags.get(LAUNCH_TAG, run.run_id)


def actor_of(run: dg.DagsterRun) -> str:
    """Who or what started a Dagster run: what it says itself, the schedule or sensor that asked for it, a person.

    A person who starts a run again is the actor of that one, although the tags are copied.
    """
    tags = run.tags
    asked, _, who = tags.get(ASKED_TAG, "").partition(" ")
    if asked == run.run_id:
        return who
    if run.parent_run_id is not None and RETRY_TAG not in tags:
        return actor()
    if ACTOR_TAG in tags:
        return tags[ACTOR_TAG]
    for kind, tag in (("schedule", SCHEDULE_TAG), ("sensor", SENSOR_TAG)):
        if tag in tags:
            return f"{kind}:{tags[tag]}"
    return f"user:{tags['user']}" if "user" in tags else actor()
