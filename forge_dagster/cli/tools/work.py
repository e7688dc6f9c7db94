"""Tools that do work: a plan with its cost, the run that is held to it, and how far a run is."""

import time
from typing import Annotated, Any

from pydantic import Field

from forge_dagster.agents.budget import Wanted, is_under_way
from forge_dagster.agents.envelope import tamed
from forge_dagster.agents.journal import ENDED
from forge_dagster.cli.forecast import Forecast, foresee
from forge_dagster.cli.tools.admitted import start
from forge_dagster.cli.tools.desk import Desk
from forge_dagster.cli.tools.tool import Digest, Launch, Tool
from forge_dagster.declared import load_declared
from forge_dagster.errors import UserError, VerdictError
from forge_dagster.provenance.run import Run
from forge_dagster.source import NAME
from forge_dagster.stage import FrozenModel
from resources.compute import numerics

LONGEST_WAIT = 25  # seconds, under what clients give a call
LOOK = 0.5  # seconds between two looks at a run


Goal = Annotated[
    str,
    Field(
        pattern=rf"^(study/)?{NAME.pattern}$",
        description="a recipe, study/NAME, or `readiness` for the report on the documents",
    ),
]


class Target(FrozenModel):
    """What is to be brought up to date."""

    target: Goal


class Agreed(FrozenModel):
    """A plan that was looked at."""

    target: Goal
    plan: Digest = Field(description="the plan's digest, as `plan` gave it")


class Watch(FrozenModel):
    """Which run, and how long to wait for news of it."""

    run: Launch
    wait_seconds: float = Field(default=0, ge=0, le=LONGEST_WAIT)


def plan(desk: Desk, asked: Target) -> dict[str, Any]:
    """What a run would make and reuse, and its cost as far as is known."""
    return tamed(foresee(desk.home, load_declared(), asked.target, desk.quota.unit).told(desk.quota.unit))


def execute(desk: Desk, asked: Agreed) -> dict[str, Any]:
    """Start the run that a plan foresees, within the quota. Raises VerdictError if the plan no longer holds."""
    from forge_dagster.cli.launcher import new_launch_id

    found = foresee(desk.home, load_declared(), asked.target, desk.quota.unit)
    if found.digest != asked.plan:
        raise VerdictError(
            f"plan {asked.plan:.12} for {asked.target} no longer holds; it would be {found.digest:.12} now",
            rule="a run does what was agreed to, or nothing",
            mend="plan again",
        )
    if not found.work:
        raise UserError(f"{asked.target} is up to date", rule="a run makes something", mend="read what stands")
    launch = new_launch_id()
    admitted = desk.budget.admit(_wanted(desk, found), launch)
    desk.processes = [each for each in desk.processes if each.poll() is None]
    desk.processes.append(start(desk.home, admitted))
    return {"run": launch, "plan": found.digest, "hours_held": admitted.statement["hours"], "unit": desk.quota.unit}


def _wanted(desk: Desk, found: Forecast) -> Wanted:
    how = numerics(parallel=True)
    width = how["world_size"] * (how["threads"] if desk.quota.unit == "processor" else 1)
    return Wanted(
        target=found.target,
        plan=found.digest,
        hours=found.hours,
        seconds=found.seconds,
        tokens=found.tokens,
        trials=found.trials,
        width=width,
    )


def watch(desk: Desk, asked: Watch) -> dict[str, Any]:
    """How far each stage is, what was made and what went wrong; with `wait_seconds` not before something changes."""
    run = Run(desk.home, asked.run)
    before, deadline = _seen(desk, run), time.monotonic() + asked.wait_seconds
    if before["state"] == "unknown":
        raise UserError(f"run {asked.run!r}", rule="a run of this home", mend="see `runs`")
    now = before
    while now == before and now["state"] == "running" and time.monotonic() < deadline:
        time.sleep(min(LOOK, max(0.0, deadline - time.monotonic())))
        now = _seen(desk, run)
    return now


def _seen(desk: Desk, run: Run) -> dict[str, Any]:
    ended = next((entry["statement"] for entry in desk.journal.about(ENDED, launch=run.run_id)), None)
    outputs, errors = run.outputs(), run.errors()
    if ended is not None:
        state = "done" if ended["exit_code"] == 0 else "failed"
    elif is_under_way(desk.home, run.run_id):
        state = "running"
    else:
        state = "not an agent's, or ended without a word" if run.folder.is_dir() else "unknown"
    failures = [{name: each[name] for name in ("key", "kind", "message", "exit_code")} for each in errors]
    told = {"progress": run.progress_of(), "outputs": outputs, "errors": failures}
    return {"run": run.run_id, "state": state, "exit_code": ended and ended["exit_code"], **tamed(told)}


TOOLS = (
    Tool(
        name="plan",
        description="What a run for a recipe, a study or `readiness` makes and reuses, its cost and its digest.",
        arguments=Target,
        run=plan,
    ),
    Tool(
        name="execute",
        description="Start the run that a plan foresees. Give the plan's digest: if it no longer holds, nothing runs.",
        arguments=Agreed,
        run=execute,
        read_only=False,
    ),
    Tool(
        name="watch",
        description=f"Progress, outputs and errors of a run; waits up to {LONGEST_WAIT} s for news of it.",
        arguments=Watch,
        run=watch,
    ),
)
