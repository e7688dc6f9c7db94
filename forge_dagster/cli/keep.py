"""`forge keep`: versions that `forge gc` leaves alone."""

from typing import Annotated

import typer
from rich.table import Table

from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.errors import UserError
from forge_dagster.home import home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.versions.gc import keep
from forge_dagster.versions.needed import find, kept


def command(
    artifact: Annotated[
        str | None, typer.Argument(help="KEY or KEY@DIGEST (a prefix will do). Default: list them.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why it is kept, or why no longer; goes into the ledger.")] = "",
    drop: Annotated[bool, typer.Option("--drop", help="Take it off the list.")] = False,
    json: Json = False,
) -> None:
    """Keep a version, and all it was made from, from `forge gc`; without arguments, list what is kept and why.

    Releases and what is current need no such word. The list is part of the ledger: who added what, when and why.

    Examples: `forge keep corpus@1f3a --reason "audit of 2026"`; `forge keep corpus@1f3a --drop --reason "audit over"`.
    """
    from forge_dagster.provenance.actor import actor

    if artifact is not None:
        key, digest = find(home(), artifact)
        if drop and (key, digest) not in kept(Ledger(home().ledger)):
            raise UserError(f"{key}@{digest[:12]} is not kept", rule="a version of the list", mend="see `forge keep`")
        keep(home(), "drop" if drop else "keep", key, digest, reason, actor())
    rows = [{"key": key, "digest": digest, "reason": why} for (key, digest), why in kept(Ledger(home().ledger)).items()]
    if json:
        print_json({"kept": rows})
        return
    table = Table("version", "why", box=None, pad_edge=False)
    for row in rows:
        table.add_row(f"{row['key']}@{row['digest'][:12]}", row["reason"])
    out.print(table if rows else "Nothing is on the keep-list.")
