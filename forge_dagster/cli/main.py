"""The `forge` command: its verbs, and the exit code of every error.

Exit codes: 0 done; 1 unexpected; 2 wrong input or command; 3 bytes differ from their record;
4 a check or a gate refused; 5 another run holds the artifact; 6 no room on the disk; 75 stopped, run again to go on.
"""

import sys

import typer

from forge_dagster.cli import (
    assess,
    benchmark,
    bisect,
    chat,
    compare_approaches,
    corpus,
    inspect,
    override,
    run,
    sample,
    schema,
    scorecard,
    show,
    status,
    ui,
    verify,
)
from forge_dagster.cli.console import fail
from forge_dagster.environment import close
from forge_dagster.errors import ForgeError, InterruptedRun

app = typer.Typer(
    help=__doc__.split("\n\n")[0]
    + "\n\nFrom a folder of documents to a released, verified language model.\n\n"
    + __doc__.split("\n\n")[1],
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
COMMANDS = (
    run, assess, status, show, scorecard, override, compare_approaches, bisect, inspect, verify, sample, schema, chat,
    ui,
)  # fmt: skip
for module in COMMANDS:
    app.command(name=module.__name__.rsplit(".", 1)[-1].replace("_", "-"))(module.command)
app.add_typer(corpus.app, name="corpus")
app.add_typer(benchmark.app, name="benchmark")


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
