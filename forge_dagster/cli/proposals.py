"""`forge proposals`: what agents propose, and a person's decision on it."""

from typing import Annotated

import typer
from rich.table import Table

from forge_dagster.agents import taking_over
from forge_dagster.agents.journal import Journal
from forge_dagster.agents.proposal import Proposals, summary
from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.declared import load_declared
from forge_dagster.home import folder_of, home
from forge_dagster.provenance.actor import actor
from forge_dagster.provenance.ledger import Ledger

app = typer.Typer(
    rich_markup_mode=None, help="What agents propose; a person takes it over or not.", no_args_is_help=True
)
Id = Annotated[str, typer.Argument(help="ID as `forge proposals list` gives it.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """List the proposals that wait, oldest first."""
    found = [summary(each) for each in Proposals(home()).waiting()]
    if json:
        print_json({"proposals": found})
        return
    table = Table("id", "kind", "name", "rows", "agent", "made", "why", box=None, pad_edge=False)
    for each in found:
        table.add_row(*(str(each[name]) for name in ("id", "kind", "name", "rows", "agent", "made")), each["why"][:80])
    out.print(table if found else "Nothing waits.")


@app.command()
def show(proposal: Id) -> None:
    """Print a proposal in full, as JSON."""
    print_json(Proposals(home()).read(proposal).model_dump(mode="json"))


@app.command()
def accept(
    proposal: Id,
    licence: Annotated[
        str, typer.Option(help="Of pairs: SPDX, or `internal`. Unknown trains, and is never released.")
    ] = "unknown",
    json: Json = False,
) -> None:
    """Take a proposal over: it becomes a recipe, study, file of pairs or benchmark task; the ledger says who did it."""
    folders = {name: folder_of(name) for name in ("recipes", "studies", "sources", "evals")}
    paths = taking_over.accept(
        Proposals(home()), Journal(Ledger(home().ledger)), proposal,
        by=actor(), declared=load_declared(), folders=folders, licence=licence,
    )  # fmt: skip
    if json:
        print_json({"proposal": proposal, "files": [str(path) for path in paths]})
    else:
        out.print(f"{proposal} is taken over: {', '.join(map(str, paths))}", markup=False, soft_wrap=True)


@app.command()
def refuse(
    proposal: Id,
    reason: Annotated[str, typer.Option(help="Why, for the agent and the ledger.")],
    json: Json = False,
) -> None:
    """Decline a proposal: its file goes, the ledger keeps who declined it and why."""
    journal = Journal(Ledger(home().ledger))
    declined = taking_over.decline(Proposals(home()), journal, proposal, by=actor(), reason=reason)
    if json:
        print_json(summary(declined))
    else:
        out.print(f"{declined.id} of {declined.agent} is declined", markup=False)
