"""`forge share`: let the store of FORGE_STORE have all that this home has."""

from typing import Annotated

import typer

from forge_dagster.cli.bars import bar
from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.home import home


def command(
    again: Annotated[
        list[str] | None,
        typer.Option(help="KEY or KEY@DIGEST, repeatable: put its files once more, over what differs there."),
    ] = None,
    sweep: Annotated[
        bool,
        typer.Option("--sweep", help="Delete files that a crash left there a week ago or earlier, without a record."),
    ] = False,
    json: Json = False,
) -> None:
    """Put into the shared store what it lacks: versions, statements of the ledger, pointers. Runs do so by themselves.

    FORGE_STORE=s3://BUCKET/PREFIX makes a home a verified copy of a store that several machines share; endpoint and
    credentials are those of the usual AWS variables. A home that was alone until now is shared with this command once;
    it is refused if the store has another ledger. What the store has stays as it is there.

    Examples: `forge share`; `forge share --again corpus@1f3a`, where an object is damaged; `forge share --sweep`.
    """
    from forge_dagster.versions.needed import find
    from forge_dagster.versions.share import share

    with bar() as tell:
        done = share(home(), again=[find(home(), name) for name in again or []], sweep=sweep, progress=tell)
    if json:
        print_json(done.model_dump(mode="json"))
        return
    out.print(
        f"{done.url} has {done.standing} versions; put now: {len(done.versions)} versions, "
        f"{done.statements} statements, {len(done.pointers)} pointers",
        markup=False,
        soft_wrap=True,
    )
    for version in done.swept:
        out.print(f"swept: {version}", markup=False)
