"""`forge ui`: Dagster's web server and daemon on loopback, over this home."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from forge_dagster.environment import prepare_dagster_home
from forge_dagster.home import PROJECT, home


def command(port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000) -> None:
    """Open the Dagster UI: lineage, runs, plots; materialize sources and recipes by clicking."""
    prepare_dagster_home()
    executable = Path(sys.executable).with_name("dagster")
    dagster = [str(executable), "dev", "--workspace", str(PROJECT / "workspace.yaml"), "--host", "127.0.0.1"]
    # A shell starts background jobs with SIGINT ignored, and Dagster stops its servers by SIGINT alone.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.chdir(home().root)  # Dagster warns of every other dagster.yaml in the folder it starts from
    os.execvp(dagster[0], [*dagster, "--port", str(port)])
