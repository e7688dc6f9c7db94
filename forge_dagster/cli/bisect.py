"""`forge bisect`: which sources' changes explain why one release is worse than another."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from forge_dagster.bisect import BASELINES, Search, Verdict
from forge_dagster.cli.console import Json, err, out, print_json
from forge_dagster.cli.progress import output_into
from forge_dagster.cli.show import resolve
from forge_dagster.errors import UserError
from forge_dagster.home import home
from forge_dagster.provenance.record import Record
from forge_dagster.provenance.store import ArtifactStore

FEWEST = BASELINES + 1
MOST_PATHS = 5

Release = Annotated[str, typer.Argument(help="RECIPE or RECIPE@DIGEST (a prefix will do).")]


def command(
    old: Release,
    new: Release,
    metric: Annotated[
        str | None, typer.Option(help="Metric of the scorecard that got worse; default: that of the first gate.")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens that a proxy is trained on; default: a quarter of the recipe's.")
    ] = None,
    most_proxies: Annotated[int, typer.Option(min=FEWEST, help="Small trainings at most.")] = 16,
    plan: Annotated[bool, typer.Option("--plan", help="Print what differs and what looking costs, and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before training.")] = False,
    json: Json = False,
) -> None:
    """Name the sources, then the documents, whose changes make release NEW worse than release OLD.

    Small proxies of the recipe are trained on the old documents with halves of the changes made, and asked the items
    of NEW's scorecard. What differs less than proxies of the old documents with other seeds is no difference.

    Examples: `forge bisect tiny-dense@3f2a tiny-dense --metric facts_seen.acc --plan`.
    """
    if json and not (plan or yes):
        raise UserError("--json without --plan or --yes", rule="programs are not asked", mend="add one of them")
    releases = _release(old), _release(new)
    log = home().cache / "bisect" / "output.log"
    with output_into(log):  # libraries speak when they are imported, and standard output is the answer's alone
        search = Search(home(), *releases, metric, tokens)
    budget = _budget(search, most_proxies)
    if json and plan:
        print_json(budget)
        return
    if not json:
        _show_budget(budget)
        if plan:
            return
        if not yes and not typer.confirm("Train them?", err=True):
            raise typer.Exit(0)
    with output_into(log) as terminal, _bars(terminal, quiet=json) as progress:
        verdict = search.run(most_proxies, progress)
    if json:
        print_json({**verdict.model_dump(mode="json"), "budget": budget})
    else:
        _show(verdict)


def _release(named: str) -> Record:
    key, _, prefix = named.partition("@")
    whole = key if key.endswith("/release") else f"{key}/release"
    return ArtifactStore(home().artifacts).record(*resolve(f"{whole}@{prefix}" if prefix else whole))


def _budget(search: Search, most: int) -> dict[str, Any]:
    changed = {
        source: {
            "added": sum(change.old is None for change in part),
            "removed": sum(change.new is None for change in part),
            "changed": sum(None not in (change.old, change.new) for change in part),
        }
        for source, part in search.corpora.by_source().items()
    }
    return {
        "metric": search.metric,
        "changes": changed,
        "most_proxies": most,
        "tokens_each": search.tokens,
        "stages": [entry.called for entry in search.recipe.stages],
        "trainings_of_the_recipe": round(most * search.tokens / search.whole_tokens, 2),
    }


def _show_budget(budget: dict[str, Any]) -> None:
    table = Table("source", "added", "removed", "changed", box=None, pad_edge=False)
    for source, counts in budget["changes"].items():
        table.add_row(source, *(f"{count:,}" for count in counts.values()))
    err.print(table)
    stages = ", ".join(budget["stages"])
    err.print(
        f"At most {budget['most_proxies']} proxies of {budget['tokens_each']:,} tokens ({stages}): "
        f"what {budget['trainings_of_the_recipe']:g} trainings of the recipe cost. Metric: {budget['metric']}."
    )


def _show(verdict: Verdict) -> None:
    table = Table("changes", "of", "worse by", "", box=None, pad_edge=False)
    for each in verdict.tried:
        seen = "visible" if each.visible else "not to be told from noise"
        table.add_row(f"{each.changes:,}", ", ".join(each.sources), f"{each.drop:.3f}", seen)
    out.print(table)
    out.print(
        f"{verdict.proxies} proxies; on the old documents {verdict.metric} is {verdict.baseline:.3f}, and seeds alone "
        f"make up to {verdict.floor:.3f}."
    )
    if not verdict.culprits:
        out.print(f"No difference that can be seen: all changes together make {verdict.drop:.3f}.", style="bold")
        return
    for culprit in verdict.culprits:
        out.print(
            f"{', '.join(culprit.sources)}: {len(culprit.paths)} changes make it worse by {culprit.drop:.3f}",
            style="bold", markup=False,
        )  # fmt: skip
        for path in culprit.paths[:MOST_PATHS]:
            out.print(f"  {path}", markup=False)
        if len(culprit.paths) > MOST_PATHS:
            out.print(f"  and {len(culprit.paths) - MOST_PATHS} more (--json has all)")


@contextmanager
def _bars(terminal: Console, *, quiet: bool) -> Iterator[Any]:
    """A bar for each proxy in the making."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=terminal, disable=quiet or not terminal.is_terminal) as bars:

        def begin(said: str) -> Any:
            if not quiet and not terminal.is_terminal:
                terminal.print(said, markup=False)
            task = bars.add_task(said, total=None, text="")
            return lambda done, total, text: bars.update(task, completed=done, total=total, text=text)

        yield begin
