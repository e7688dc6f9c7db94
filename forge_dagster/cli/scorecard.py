"""`forge scorecard`: what a recipe's checkpoints score, how sure that is, and how two recipes differ."""

import json
import webbrowser
from typing import Annotated, Any, NamedTuple

import typer
from rich.table import Table

from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.cli.report import show_gates
from forge_dagster.cli.show import resolve
from forge_dagster.errors import VerdictError
from forge_dagster.evaluation import evidence
from forge_dagster.evaluation.card import Scorecard, read_card
from forge_dagster.evaluation.comparison import Compared, compare
from forge_dagster.evaluation.scorecard_page import PAGE, rows
from forge_dagster.evaluation.statistics import smallest_gain
from forge_dagster.home import home
from forge_dagster.provenance.store import ArtifactStore

Recipe = Annotated[str, typer.Argument(help="RECIPE, or RECIPE@DIGEST of one of its scorecards (see --history).")]


class Read(NamedTuple):
    """A scorecard of the store."""

    name: str
    digest: str
    card: Scorecard
    results: evidence.Evidence

    @property
    def last(self) -> str:
        return list(self.card.checkpoints)[-1]


def command(
    recipe: Recipe,
    with_: Annotated[
        str | None, typer.Option("--compare", help="Compare the last checkpoint with that of this RECIPE[@DIGEST].")
    ] = None,
    history: Annotated[bool, typer.Option(help="Every scorecard ever made of this recipe, refused ones too.")] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open the page with plot in the browser.")] = False,
    json: Json = False,
) -> None:
    """Show the scores of a recipe's checkpoints with their errors, and the verdict of each gate.

    --compare takes two models' answers to the same items: the difference, what bounds it, and whether it is more than
    chance and more than another seed brings.

    Examples: `forge scorecard tiny-dense`; `forge scorecard tiny-dense --compare tiny-moe`.
    """
    if history:
        _show_history(recipe, json)
        return
    found = read(recipe)
    if with_ is not None:
        _show_comparison(found, read(with_), json)
        return
    page = ArtifactStore(home().artifacts).here(f"{found.name}/scorecard", found.digest) / "beside" / PAGE
    if json:
        print_json({**found.card.model_dump(mode="json"), "digest": found.digest, "page": str(page)})
    else:
        show(found)
        out.print(f"\nPage with plot: {page}", markup=False, soft_wrap=True)
    if open_:
        webbrowser.open(page.as_uri())


def read(name: str) -> Read:
    """The current scorecard of RECIPE, or that of RECIPE@DIGEST. Raises UserError or VerdictError."""
    recipe, at, prefix = name.partition("@")
    key, digest = resolve(f"{recipe}/scorecard{at}{prefix}")
    content = ArtifactStore(home().artifacts).content(key, digest)
    return Read(recipe, digest, read_card(content), evidence.read_evidence(content / evidence.FILE))


def show(found: Read) -> None:
    """Print a scorecard for people."""
    out.print(f"{found.name}@{found.digest[:12]} (score ± standard error; the interval is that of {found.last}, 95 %)")
    table = Table("metric", *found.card.checkpoints, "interval", "items", "chance", "noise", box=None, pad_edge=False)
    for row in rows(found.card, found.results):
        table.add_row(row.metric, *row.cells, row.interval, row.items, row.chance, row.noise)
    out.print(table)
    show_gates(found.card.model_dump()["gates"])
    choices = max((task.items for task in found.card.tasks.values()), default=0)
    out.print(
        f"The largest task has {choices:,} items: it sees a gain of {smallest_gain(choices):.3f} in 4 of 5 cases "
        "if two models differ on a quarter of them."
    )


def _show_comparison(one: Read, other: Read, json: bool) -> None:
    found = compare(
        (one.card.checkpoints[one.last], other.card.checkpoints[other.last]),
        (one.results[one.last], other.results[other.last]),
        one.card.metrics,
    )
    if json:
        sides = {side: {"recipe": r.name, "digest": r.digest, "checkpoint": r.last} for side, r in
                 (("candidate", one), ("other", other))}  # fmt: skip
        print_json({**sides, "metrics": [row.model_dump(mode="json") for row in found]})
        return
    names = [f"{side.name}/{side.last}" for side in (one, other)]
    out.print(f"{names[0]} against {names[1]}, item by item (difference: positive is better)")
    table = Table("metric", *names, "difference", "90 % interval", "p", "p (Holm)", "pairs", "sees", "", box=None)
    for row in found:
        table.add_row(*_comparison_row(row))
    out.print(table)


def _comparison_row(row: Compared) -> list[str]:
    values = [row.metric, f"{row.value:.3f}", f"{row.other:.3f}"]
    if row.paired is None:
        return [*values, "-", "-", "-", "-", "0", "-", row.seen]
    pairs = f"{row.paired.pairs:,}" + (f" (+{row.paired.alone:,} alone)" if row.paired.alone else "")
    bounds = " .. ".join("?" if bound is None else f"{bound:+.3f}" for bound in (row.paired.low, row.paired.high))
    sees = "-" if row.paired.smallest is None else f"{row.paired.smallest:.3f}"
    return [
        *values, f"{row.paired.difference:+.3f}", bounds, f"{row.p_value:.4f}", f"{row.adjusted:.4f}", pairs, sees,
        row.seen,
    ]  # fmt: skip


def _show_history(recipe: str, json: bool) -> None:
    """Print every version of a recipe's scorecard, oldest first; what is made is never overwritten."""
    store, key = ArtifactStore(home().artifacts), f"{recipe}/scorecard"
    current = resolve(key)[1]
    entries = sorted((_entry(store, key, digest, current) for digest in store.versions(key)), key=lambda e: e["begun"])
    if json:
        print_json({"recipe": recipe, "scorecards": entries})
        return
    table = Table("made", "scorecard", "weights", "against", "gates", "", box=None, pad_edge=False)
    for entry in entries:
        gates = entry["error"] or ("passed" if entry["passed"] else "failed: " + ", ".join(entry["failed"]))
        mark = "current" if entry["current"] else ""
        table.add_row(
            entry["begun"], entry["digest"][:12], (entry["weights"] or "-")[:12], (entry["incumbent"] or "-")[:12],
            gates, mark,
        )  # fmt: skip
    out.print(table)


def _entry(store: ArtifactStore, key: str, digest: str, current: str) -> dict[str, Any]:
    version = store.here(key, digest)
    begun = json.loads((version / "beside" / "run.json").read_bytes())["begun"]
    entry: dict[str, Any] = {"digest": digest, "begun": begun, "current": digest == current}
    try:
        card = read_card(version / "content")
    except VerdictError:
        return {**entry, "weights": None, "incumbent": None, "passed": None, "failed": [],
                "error": "in a format of before"}  # fmt: skip
    weights = {name: files["model.safetensors"] for name, files in card.scored.items()}
    failed = [f"{verdict.metric} ({verdict.rule})" for verdict in card.gates if verdict.outcome == "failed"]
    return {
        **entry,
        "weights": weights[list(card.checkpoints)[-1]],
        "incumbent": weights.get("incumbent"),
        "passed": card.passed,
        "failed": failed,
        "scores": {name: score.value for name, score in list(card.checkpoints.values())[-1].items()},
        "error": None,
    }
