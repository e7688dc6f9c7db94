"""`forge retrain`: what was decided on each recipe, and a person's approval of what costs much."""

from typing import Annotated, Any

import typer

from assets.decisions import decision_key
from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.declared import load_declared
from forge_dagster.errors import UserError
from forge_dagster.evaluation.retraining_decision import read_decision
from forge_dagster.home import home
from forge_dagster.provenance.actor import actor
from forge_dagster.provenance.approval import approve as state_approval
from forge_dagster.provenance.approval import approved
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.retraining import Hold, Retrain

app = typer.Typer(rich_markup_mode=None, help="What was decided on training again, and approval.", no_args_is_help=True)


def last_decision(recipe: str) -> tuple[str, Retrain | Hold] | None:
    """Digest and content of a recipe's last decision; None if there is none."""
    store = ArtifactStore(home().artifacts)
    digest = store.current(decision_key(recipe))
    return (digest, read_decision(store.content(decision_key(recipe), digest))) if digest else None


def in_words(digest: str, found: Retrain | Hold) -> str:
    """A decision on one line."""
    told = "; ".join(each.text for each in found.reasons if each.speaks != "nothing") or "nothing asks for it"
    if isinstance(found, Hold):
        return f"hold{f' until {found.until:%Y-%m-%d %H:%M} UTC' if found.until else ''}: {told}"
    waits = found.needs_approval and digest not in approved(Ledger(home().ledger))
    return f"retrain{', waits for approval' if waits else ''}: {told}"


@app.command()
def show(recipe: Annotated[str, typer.Argument(help="RECIPE.")], json: Json = False) -> None:
    """Show the last decision: each reason with its value and limit."""
    digest, found = _decided(recipe)
    if json:
        print_json({"recipe": recipe, "digest": digest, **found.model_dump(mode="json")})
        return
    out.print(f"{recipe}: {in_words(digest, found)}", markup=False)
    for reason in found.reasons:
        out.print(f"  {reason.measure} speaks for {reason.speaks}: {reason.text}", markup=False)


@app.command()
def approve(recipe: Annotated[str, typer.Argument(help="RECIPE whose decision waits for approval.")]) -> None:
    """Approve the last decision, and no other: the sensor `retraining` starts what it wants."""
    digest, found = _decided(recipe)
    if not (isinstance(found, Retrain) and found.needs_approval):
        raise UserError(
            f"the decision on {recipe} asks for no approval",
            rule="a training that is to cost more than approval_above_hours is approved",
            mend=f"see forge retrain show {recipe}",
        )
    statement: dict[str, Any] = state_approval(Ledger(home().ledger), recipe, digest, by=actor())
    out.print(f"approved by {statement['by']}: {recipe}, decision {digest[:12]}", markup=False)


def _decided(recipe: str) -> tuple[str, Retrain | Hold]:
    known = load_declared().recipes
    if recipe not in known:
        raise UserError(f"{recipe!r}", rule=f"a recipe is one of {', '.join(known)}", mend="add recipes/NAME.yaml")
    found = last_decision(recipe)
    if found is None:
        raise UserError(
            f"nothing was decided on {recipe} yet",
            rule="the sensor `retraining` has a decision made when something changed",
            mend="switch it on in automation.yaml",
        )
    return found
