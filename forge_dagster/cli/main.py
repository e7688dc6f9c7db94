"""The `forge` command: its verbs, and the exit code of every error.

Exit codes: 0 done; 1 unexpected; 2 wrong input or command; 3 bytes differ from their record;
4 a check or a gate refused; 5 another run holds the artifact; 6 no room on the disk; 7 above an agent's quota;
69 a remote fails; 75 stopped, run again to go on.
"""

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from forge_dagster.cli.console import fail
from forge_dagster.environment import close
from forge_dagster.errors import ForgeError, InterruptedRun

COMMANDS = (
    "run", "forecast", "assess", "status", "show", "scorecard", "override", "bundle", "prove", "approve", "promote",
    "rollback", "export", "compare-approaches", "search", "bisect", "inspect", "where-used", "sources-of", "trace",
    "diff", "verify", "push", "pull", "fsck", "gc", "keep", "share", "reproduce", "erase", "rebuild-index", "sample",
    "schema", "chat", "serve", "ui", "deploy", "corpus", "benchmark", "sources", "retrain", "keys", "proposals", "mcp",
)  # fmt: skip
"""Modules beside this one, each with a `command`, or an `app` of several."""


class Commands(TyperGroup):
    """Loads the command that is asked for, and no other: what one needs takes the others a second to import."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"forge_dagster.cli.{cmd_name.replace('-', '_')}")
        if hasattr(module, "app"):
            return typer.main.get_command(module.app)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name=cmd_name)(module.command)
        return typer.main.get_command(alone)


app = typer.Typer(
    cls=Commands,
    help=__doc__.split("\n\n")[0]
    + "\n\nFrom a folder of documents to a released, verified language model.\n\n"
    + __doc__.split("\n\n")[1],
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _forge() -> None: ...


def main() -> None:
    """Run the command line; every ForgeError becomes one message and its exit code."""
    close()
    try:
        app()
    except ForgeError as error:
        fail(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        stopped = InterruptedRun("stopped by Ctrl-C", mend="run the same command again; it goes on from there")
        fail(stopped)
        sys.exit(stopped.exit_code)


if __name__ == "__main__":
    main()
