"""`forge rollback`: lets the release serve again that served before."""

from typing import Annotated

import typer

from forge_dagster.bundle.serving import rollback
from forge_dagster.cli.bundle import KeyName
from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.cli.keys import ring
from forge_dagster.home import home


def command(
    recipe: Annotated[str, typer.Argument(help="Recipe whose release before this one serves again.")],
    key: KeyName,
    reason: Annotated[str, typer.Option(help="What is wrong with the release that serves.")],
    json: Json = False,
) -> None:
    """Let serve what served before the last promotion; the ledger says who did it and why."""
    name = f"{recipe.removesuffix('/release')}/release"
    entry = rollback(home(), name, ring().signer(key), reason)
    if json:
        print_json(entry)
    else:
        said = entry["statement"]
        out.print(f"{name}@{said['digest'][:12]} serves again, in place of {said['previous'][:12]}", markup=False)
