"""`forge gc`: delete versions that nothing needs, after a plan."""

from typing import Annotated

import typer
from rich.table import Table

from forge_dagster.cli.bars import bar
from forge_dagster.cli.console import Json, amount, out, print_json
from forge_dagster.errors import UserError
from forge_dagster.home import home
from forge_dagster.versions.gc import Plan, collect
from forge_dagster.versions.gc import plan as look


def command(
    yes: Annotated[bool, typer.Option("--yes", help="Delete what the plan names.")] = False,
    plan: Annotated[
        str | None, typer.Option(help="Delete if this still is the plan: its digest, or the first 12 digits.")
    ] = None,
    json: Json = False,
) -> None:
    """Show which versions nothing needs and what they take; delete them with --yes.

    What stays: every release and all it was made from, what is current and all that is made from, and the keep-list
    (`forge keep`). Deleted is the folder in the store and what of DVC's cache no other version uses; remotes are left
    alone, and what was pushed comes back with `forge pull`.

    Examples: `forge gc`; `forge gc --yes`; `forge gc --json`, then `forge gc --plan DIGEST --json`.
    """
    from forge_dagster.cli.launcher import no_run_in_progress

    with no_run_in_progress(home()):
        found = look(home())
        if plan is not None and (len(plan) < 12 or not found.digest.startswith(plan)):
            raise UserError(
                f"the plan is {found.digest[:12]}, not {plan[:12]}",
                rule="what was looked at is what is deleted",
                mend="look at the plan again: forge gc",
            )
        delete = bool(found.versions) and (yes or plan is not None)
        if not json:
            _show(found)
        if delete:
            with bar() as tell:
                collect(home(), found.digest, progress=lambda done, total, text: tell("deleting", done, total))
    if json:
        print_json({**found.model_dump(mode="json"), "plan": found.digest, "deleted": delete})
    elif delete:
        out.print(f"Deleted {len(found.versions)} versions, {amount(found.bytes)}.")
    elif found.versions:
        out.print("Nothing was deleted. To delete: forge gc --yes; to keep one: forge keep KEY@DIGEST --reason WHY")


def _show(found: Plan) -> None:
    table = Table("version", "elsewhere", box=None, pad_edge=False)
    for each in found.versions:
        table.add_row(f"{each.key}@{each.digest[:12]}", ", ".join(each.remotes) or "nowhere that we know of")
    if found.versions:
        out.print(table)
    out.print(
        f"{len(found.versions)} versions that nothing needs take {amount(found.bytes)}; {found.kept} stay. "
        f"Plan {found.digest[:12]}."
    )
