"""`forge fsck`: find flipped, missing and truncated files, which DVC's own commands pass over."""

import time
from typing import Annotated

import typer

from forge_dagster.cli.bars import bar
from forge_dagster.cli.console import Json, amount, duration, err, out, print_json
from forge_dagster.errors import IntegrityError
from forge_dagster.home import home


def command(
    remote: Annotated[bool, typer.Option("--remote", help="Also read the versions in the remote.")] = False,
    name: Annotated[str | None, typer.Option(help="Name of the DVC remote. Default: the default one.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Files hashed side by side. Default: one a core.")] = None,
    json: Json = False,
) -> None:
    """Hash every version in the store, in DVC's cache and, with --remote, in the remote; exit code 3 if a file differs.

    `dvc status` and `dvc checkout` trust what they once hashed. Here content is held against the SHA-256 of its record,
    records against the ledger, everything else against DVC's MD5. Bytes that store and cache share are read once. Each
    problem comes with the command that mends it.
    """
    from forge_dagster.versions.fsck import fsck

    started = time.monotonic()
    with bar() as tell:
        found = fsck(home(), remote=name, with_remote=remote, workers=workers, progress=tell)
    seconds = time.monotonic() - started
    if json:
        problems = [problem.model_dump(mode="json") for problem in found.problems]
        print_json({**vars(found), "problems": problems, "seconds": round(seconds, 3)})
    else:
        speed = f"{amount(int(found.bytes / seconds))}/s"
        out.print(
            f"{found.versions} versions, {found.files} files, {amount(found.bytes)} in {duration(seconds)} ({speed})"
        )
        for what, names in (("not tracked yet (forge push)", found.untracked), ("not in the remote", found.unpushed)):
            if names:
                out.print(f"{what}: {', '.join(names)}", markup=False)
        for problem in found.problems:
            err.print(f"{problem.place}: {problem.fault}: {problem.path}", style="red", markup=False, soft_wrap=True)
            err.print(f"    of {problem.artifact or 'the ledger'}; mend: {problem.mend}", markup=False, soft_wrap=True)
    if found.problems:
        raise typer.Exit(IntegrityError.exit_code)
