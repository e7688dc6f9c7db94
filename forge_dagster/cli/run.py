"""`forge run`: bring artifacts up to date."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from assets.dvc import refresh
from assets.graph import all_hops
from assets.hop import Hop
from forge_dagster.cli.console import Json, err, print_json
from forge_dagster.cli.forecast import Agree, anything, held_to
from forge_dagster.cli.plan import select, with_ancestors
from forge_dagster.cli.progress import watching
from forge_dagster.cli.report import show_launch, summary
from forge_dagster.cli.sources import use_folder
from forge_dagster.declared import Declared, load_declared
from forge_dagster.errors import UserError
from forge_dagster.home import home
from forge_dagster.provenance.run import Run


def command(
    recipe: Annotated[
        list[str] | None, typer.Option(help="Train this recipe and what it needs; repeatable. Default: every recipe.")
    ] = None,
    select_: Annotated[
        str | None,
        typer.Option("--select", help="Only these assets, comma-separated, e.g. corpus,tiny-dense/base_checkpoint."),
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option(help="A folder of documents to learn from as it is, or a folder of source files (*.yaml)."),
    ] = None,
    licence: Annotated[
        str,
        typer.Option(help="Licence of a folder given with --sources: SPDX, or `internal`. Unknown is never released."),
    ] = "unknown",
    force: Annotated[bool, typer.Option(help="Make the artifacts again even where they stand.")] = False,
    full: Annotated[
        bool, typer.Option(help="Train from scratch where the retraining policy goes on from the model that serves.")
    ] = False,
    plan: Annotated[
        str | None,
        typer.Option(help="DIGEST of `forge forecast RECIPE`: do exactly this, or refuse. With one --recipe."),
    ] = None,
    json: Json = False,
) -> None:
    """Make documents, corpus, checkpoints, scorecards and releases; reuse what already stands.

    Stopping it, by Ctrl-C or by force, loses nothing that was made; the same command goes on from there.

    Examples: `forge run`; `forge run --recipe tiny-dense`; `forge run --sources ~/handbooks --licence internal`.
    """
    if sources is not None:
        use_folder(sources, licence)
    declared = load_declared().in_full() if full else load_declared()
    hops = all_hops(declared)
    unknown = [name for name in recipe or [] if name not in declared.recipes]
    if unknown:
        known = ", ".join(declared.recipes)
        raise UserError(f"--recipe {unknown[0]!r}", rule=f"a recipe is one of {known}", mend="add recipes/NAME.yaml")
    chosen = hops
    agree: Agree = anything
    if plan is not None:
        if not recipe or len(recipe) > 1 or select_ or sources or force or full:
            raise UserError(
                "--plan with other options", rule="a plan is of one --recipe and nothing else", mend="leave them out"
            )
        agree = held_to(home(), declared, recipe[0], plan)
    if recipe:
        chosen = with_ancestors(hops, [hop for hop in hops if hop.asset.split("/")[0] in recipe])
    if select_:
        chosen = select(chosen, [name.strip() for name in select_.split(",")])

    report = bring_up_to_date(declared, hops, chosen, force=force, quiet=json, agree=agree)
    print_json(report) if json else show_launch(report)
    leave_unless_complete(report)


def bring_up_to_date(
    declared: Declared,
    hops: Sequence[Hop],
    chosen: Sequence[Hop],
    *,
    force: bool,
    quiet: bool,
    launch_id: str | None = None,
    agree: Agree = anything,
) -> dict[str, Any]:
    """Launch what `chosen` needs, with progress unless `quiet`; return what there is to tell of it.

    `agree` is asked before anything starts.
    """
    from forge_dagster.cli.launcher import launch, new_launch_id

    refresh(home(), hops)
    launch_id = launch_id or new_launch_id()
    if not quiet:
        err.print(f"forge run {launch_id}: {len(chosen)} artifacts, state in {home().root}")
    with watching(Run(home(), launch_id), quiet=quiet):
        needed = with_ancestors(hops, chosen)
        result = launch(home(), declared, needed, chosen, force=force, launch_id=launch_id, agree=agree)
    return summary(home(), result, chosen)


def leave_unless_complete(report: dict[str, Any]) -> None:
    """End the command with the exit code of the first error, if not everything was made."""
    if report["errors"]:
        raise typer.Exit(report["errors"][0]["exit_code"])
    if not report["complete"]:
        raise typer.Exit(1)
