"""`forge push`: carry versions to a DVC remote."""

import time
from typing import Annotated

import typer

from forge_dagster.cli.bars import bar
from forge_dagster.cli.console import Json, amount, duration, out, print_json
from forge_dagster.errors import UserError
from forge_dagster.home import home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.versions.needed import closure, find, made_from

Remote = Annotated[
    str | None, typer.Option(help="Name of the DVC remote. Default: the one that `dvc remote add -d` set.")
]
Jobs = Annotated[int | None, typer.Option(min=1, help="Files carried side by side. Default: DVC's own for the remote.")]


def command(
    artifacts: Annotated[
        list[str] | None, typer.Argument(help="KEY or KEY@DIGEST, repeatable. Default: every version that stands here.")
    ] = None,
    with_inputs: Annotated[
        bool, typer.Option(help="Also all that they were made from, down to the documents.")
    ] = False,
    again: Annotated[bool, typer.Option(help="Overwrite what the remote has: after `forge fsck --remote`.")] = False,
    remote: Remote = None,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Carry versions to a remote, from where `forge pull` brings them back; what is there is not carried twice.

    Every file is hashed before it leaves, so nothing damaged is kept as if it were sound. A remote is set with DVC:
    `dvc remote add -d NAME /a/folder` or `dvc remote add -d NAME s3://bucket/prefix`, in the project, or in
    FORGE_HOME where that lies outside of it. A broken push goes on when the same command is run again.

    Examples: `forge push`; `forge push tiny-dense/release --with-inputs`; `forge push corpus@1f3a`.
    """
    from forge_dagster.versions.push import push, standing

    started, here = time.monotonic(), set(standing(home()))
    wanted = [find(home(), name) for name in artifacts or []] or sorted(here)
    if with_inputs:
        wanted = sorted(closure(wanted, made_from(Ledger(home().ledger))) & here)
    if not wanted:
        raise UserError("nothing to push: no version stands", rule="an artifact", mend="forge run")
    with bar() as tell:
        done = push(home(), wanted, remote=remote, again=again, jobs=jobs, progress=tell)
    seconds = time.monotonic() - started
    if json:
        print_json({**done.model_dump(mode="json"), "seconds": round(seconds, 3)})
        return
    out.print(
        f"{len(done.versions)} versions, {done.files} files, {amount(done.bytes)} are in {done.remote} ({done.url}); "
        f"{done.carried} files were carried over in {duration(seconds)}"
    )
