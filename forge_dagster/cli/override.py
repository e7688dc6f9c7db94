"""`forge override`: two people answer for a checkpoint that failed a gate."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import ValidationError

from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.cli.scorecard import read
from forge_dagster.errors import UserError
from forge_dagster.home import folder_of, home
from forge_dagster.override import Override, add_override
from forge_dagster.provenance.ledger import Ledger


def command(
    recipe: Annotated[str, typer.Argument(help="RECIPE whose current scorecard failed a gate.")],
    gate: Annotated[str, typer.Option(help="Metric of the failed gate, e.g. answers.form.")],
    reason: Annotated[str, typer.Option(help="Why the checkpoint may be released all the same.")],
    by: Annotated[str, typer.Option(help="Who asks for it.")],
    approved_by: Annotated[str, typer.Option(help="Who approves it: a second person.")],
    json: Json = False,
) -> None:
    """Let the checkpoint of the current scorecard be released although this gate failed; any other checkpoint is not.

    It is kept in recipes/overrides/RECIPE.yaml, for git, and in the ledger; it is part of what the release is made
    from, and its model card names both people and the reason. What the ledger does not state is refused. The next
    `forge run` releases.
    """
    found = read(recipe)
    failed = sorted({verdict.metric for verdict in found.card.gates if verdict.outcome == "failed"})
    if gate not in failed:
        raise UserError(
            f"gate {gate} of {recipe} has not failed",
            rule=f"an override is of a failed gate, here one of: {', '.join(failed) or 'none'}",
            mend=f"see `forge scorecard {recipe}`",
        )
    try:
        override = Override(
            metric=gate,
            checkpoint=found.card.scored[found.last]["model.safetensors"],
            reason=reason,
            by=by,
            approved_by=approved_by,
            made=datetime.now(UTC).date(),
        )
    except ValidationError as error:
        raise UserError(
            "; ".join(f"{'.'.join(map(str, each['loc'])) or 'override'}: {each['msg']}" for each in error.errors()),
            rule="an override has a reason of 10 characters or more, and two different people answer for it",
            mend="correct --reason, --by or --approved-by",
        ) from error
    statement = {"recipe": recipe, "scorecard": found.digest, **override.model_dump(mode="json")}
    Ledger(home().ledger).append("override", statement)  # first: a file that the ledger knows nothing of is refused
    path = add_override(folder_of("recipes") / "overrides", recipe, override)
    if json:
        print_json({**statement, "file": str(path)})
    else:
        out.print(f"{gate} of {found.last} {override.checkpoint[:12]} is overridden, in {path}", markup=False)
        out.print(f"Next: forge run --recipe {recipe}")
