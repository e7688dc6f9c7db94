"""The process of one run that an agent was admitted to: it knows the launch alone, and reads the rest in the ledger.

`python -m forge_dagster.cli.tools.admitted LAUNCH`, started by the tool `execute`. It stops when the hours that the
run holds are over, and states its end.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from assets.graph import all_hops
from forge_dagster.agents.budget import Admitted
from forge_dagster.agents.journal import ENDED, RUN, Journal
from forge_dagster.cli.forecast import chosen_for, held_to
from forge_dagster.cli.run import bring_up_to_date
from forge_dagster.declared import load_declared
from forge_dagster.environment import close
from forge_dagster.errors import ForgeError, UserError
from forge_dagster.home import Home, home
from forge_dagster.provenance.actor import VARIABLE
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.run import Run

GRACE = 120.0  # seconds from the first signal, on which steps save what they have, to the second, which ends all


def start(home: Home, admitted: Admitted) -> "subprocess.Popen[bytes]":
    """Start the process of an admitted run, which outlives this one; it holds the run's lock until it ends."""
    launch = str(admitted.statement["launch"])
    console = home.work / "agent-runs" / f"{launch}.log"
    console.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "FORGE_HOME": str(home.root), VARIABLE: str(admitted.statement["agent"])}
    with console.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, launch],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            pass_fds=[admitted.alive],
        )
    os.close(admitted.alive)
    return process


def run(launch: str) -> int:
    """Do what the ledger says this launch was admitted to; return the exit code. Raises UserError if there is none."""
    journal = Journal(Ledger(home().ledger))
    statement = next((entry["statement"] for entry in journal.about(RUN, launch=launch)), None)
    if statement is None or any(journal.about(ENDED, launch=launch)):
        raise UserError(f"launch {launch!r}", rule="a run that was admitted and has not ended")
    os.environ[VARIABLE] = statement["agent"]
    begun, code = time.monotonic(), 1
    try:
        with stopped_after(statement["seconds"]):
            code = _launched(statement)
    finally:
        seconds = round(time.monotonic() - begun, 3)
        journal.state(ENDED, {"agent": statement["agent"], "launch": launch, "exit_code": code, "seconds": seconds})
    return code


def _launched(statement: Mapping[str, Any]) -> int:
    note, target = Run(home(), statement["launch"]).note_error, statement["target"]
    try:
        declared = load_declared()
        hops = all_hops(declared)
        report = bring_up_to_date(
            declared,
            hops,
            chosen_for(declared, hops, target),
            force=False,
            quiet=True,
            launch_id=statement["launch"],
            agree=held_to(home(), declared, target, statement["plan"]),
        )
    except ForgeError as error:
        note(target, error)
        return error.exit_code
    if report["errors"]:
        return int(report["errors"][0]["exit_code"])
    return 0 if report["complete"] else 1


@contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """Send this process SIGTERM when the time is over, and again after GRACE."""
    timers = [
        threading.Timer(wait, os.kill, (os.getpid(), signal.SIGTERM))
        for wait in (max(seconds, 1.0), max(seconds, 1.0) + GRACE)
    ]
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


if __name__ == "__main__":
    close()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the end is stated wherever it comes
    sys.exit(run(sys.argv[1]))
