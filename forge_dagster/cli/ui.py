"""`forge ui`: Dagster's web server and daemon on loopback, over this home."""

import fcntl
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import psutil
import typer

from forge_dagster.errors import BusyError
from forge_dagster.home import PROJECT, home
from resources.instance import prepare_dagster_home

WORKSPACE = str(PROJECT / "workspace.yaml")


def command(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="For auditors: look at everything, start and change nothing.")
    ] = False,
) -> None:
    """Open the Dagster UI: lineage, runs, plots; materialize sources and recipes by clicking.

    Schedules, sensors and retries work while it runs. A home has one; any number of --read-only servers may stand
    beside it, each on a port of its own.
    """
    prepare_dagster_home()
    # A shell starts background jobs with SIGINT ignored, and Dagster stops its servers by SIGINT alone.
    signal.signal(signal.SIGINT, signal.default_int_handler if read_only else signal.SIG_DFL)
    os.chdir(home().root)  # Dagster warns of every other dagster.yaml in the folder it starts from
    if read_only:
        from resources.auditor_server import serve

        serve(WORKSPACE, port)
        return
    be_the_only_one()
    from forge_dagster.cli.launcher import open_healed

    with open_healed(home()):
        executable = Path(sys.executable).with_name("dagster")
    arguments = ["dev", "--workspace", WORKSPACE, "--host", "127.0.0.1", "--port", str(port)]
    os.execv(executable, [str(executable), *arguments])


def be_the_only_one() -> None:
    """Hold the lock of this home's daemon as long as this process lives, whatever program it becomes.

    Raises BusyError if another does, or if a daemon outlived it: two would start every run twice.
    """
    path = home().work / "locks" / "ui.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    held = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(held, 32).decode()
        os.close(held)
        raise _busy(f"`forge ui` runs already over {home().root}: process {holder}") from None
    left = _daemons()
    if left:
        os.close(held)
        raise _busy(f"a daemon over {home().root} outlived its `forge ui`: process {', '.join(map(str, left))}")
    os.ftruncate(held, 0)
    os.write(held, str(os.getpid()).encode())
    os.set_inheritable(held, True)


def _busy(problem: str) -> BusyError:
    return BusyError(
        problem, rule="one web server and daemon a home", mend="use that one, or stop that process and start again"
    )


def _daemons() -> list[int]:
    """Processes that are a Dagster daemon of this home."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get("DAGSTER_HOME") == os.environ["DAGSTER_HOME"]
            if ours and "dagster._daemon" in process.cmdline():
                found.append(process.pid)
        except psutil.Error:
            continue  # it ended meanwhile, or is another user's
    return found
