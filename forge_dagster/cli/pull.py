"""`forge pull`: bring a version back from a DVC remote."""

import time
from typing import Annotated

import typer

from forge_dagster.cli.bars import bar
from forge_dagster.cli.console import Json, amount, duration, out, print_json
from forge_dagster.cli.push import Jobs, Remote
from forge_dagster.home import home
from forge_dagster.versions.needed import find


def command(
    artifact: Annotated[str, typer.Argument(help="KEY (the current version) or KEY@DIGEST (a prefix will do).")],
    remote: Remote = None,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Restore a version as the ledger states it: its content, its record, and what lay beside it.

    Files that are whole here are not fetched. The version is renamed into place only when every file has the SHA-256
    of its record and the record is the one in the ledger (exit code 3 if not); what was damaged is kept in
    work/damaged.

    Examples: `forge pull tiny-dense/release`; `forge pull corpus@1f3a --remote backup`.
    """
    from forge_dagster.versions.pull import pull

    started = time.monotonic()
    key, digest = find(home(), artifact)
    with bar() as tell:
        done = pull(home(), key, digest, remote=remote, jobs=jobs, progress=tell)
    seconds = time.monotonic() - started
    if json:
        print_json({**done.model_dump(mode="json"), "seconds": round(seconds, 3)})
        return
    source = f"{done.fetched} files from {done.remote}" if done.remote else "from what is here"
    what = "stands whole" if done.state == "whole" else f"restored, {source}"
    out.print(f"{key}@{digest[:12]}: {what}, {amount(done.bytes)}, verified in {duration(seconds)}\nin {done.path}")
