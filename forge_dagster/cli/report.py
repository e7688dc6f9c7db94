"""What `forge run` says at the end: a table of stages, what was learned, and what to do next."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from assets.hop import Hop
from forge_dagster.cli.console import duration, err, out
from forge_dagster.cli.launcher import Launch
from forge_dagster.home import Home
from forge_dagster.provenance.store import ArtifactStore

MARKS = {"passed": "pass", "failed": "FAIL", "not compared": "not compared"}
MOST_UNTOLD = 3  # lines
HEADLINES = (
    "validation_bits_per_byte",
    "reward",
    "loss",
    "passed_gates",
    "documents",
    "rows",
    "tokens",
    "train_tokens",
)


def headline(metrics: Mapping[str, float], counts: Mapping[str, int]) -> str:
    """The one figure of an artifact that people look for first."""
    for name in HEADLINES:
        words = name.replace("_", " ")
        if name in metrics:
            return f"{words} {metrics[name]:.3f}"
        if name in counts:
            return f"{counts[name]:,} {words}"
    return ", ".join(f"{value:,} {name}" for name, value in list(counts.items())[:2])


def summary(home: Home, result: Launch, hops: Sequence[Hop]) -> dict[str, Any]:
    """Everything about a launch as plain data."""
    store = ArtifactStore(home.artifacts)
    rows = []
    for hop in hops:
        output = result.outputs.get(hop.key)
        digest = (
            output["digest"]
            if output
            else next(
                (item.digest for item in result.planned if item.hop.key == hop.key and item.state == "current"), None
            )
        )
        record = store.record(hop.key, digest) if digest else None
        rows.append(
            {
                "artifact": hop.key,
                "digest": digest,
                "reused": bool(digest) and (output is None or output["reused"]),
                "seconds": output["seconds"] if output else 0.0,
                "headline": headline(record.report.metrics, record.report.counts) if record else "",
            }
        )
    return {
        "launch": result.run.run_id,
        "complete": all(row["digest"] for row in rows) and not result.errors,
        "reused_everything": all(row["reused"] for row in rows),
        "seconds": round(result.seconds, 1),
        "artifacts": rows,
        "errors": result.errors,
        "untracked": result.untracked,
        "untold": result.run.untold(),
        "scores": _scores(store, rows),
    }


def _scores(store: ArtifactStore, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Scorecards of the launch by recipe."""
    scores = {}
    for row in rows:
        recipe, _, name = row["artifact"].rpartition("/")
        if name == "scorecard" and row["digest"]:
            path = store.content(row["artifact"], row["digest"]) / "scorecard.json"
            scores[recipe] = json.loads(path.read_bytes())
    return scores


def show_launch(report: dict[str, Any]) -> None:
    """Print a launch for people."""
    table = Table("artifact", "time", "result", "digest", box=None, pad_edge=False)
    for row in report["artifacts"]:
        time = "reused" if row["reused"] else duration(row["seconds"])
        digest = (row["digest"] or "not made")[:12]
        table.add_row(row["artifact"], time if row["digest"] else "-", row["headline"], digest)
    out.print(table)
    for recipe, scorecard in report["scores"].items():
        show_scores(recipe, scorecard)
    for error in report["errors"]:
        err.print("error: ", style="bold red", end="")
        err.print(f"{error['key']}: {error['message']}", markup=False)
    for problem in report["untracked"]:
        err.print(f"DVC does not have it yet (next run, or forge push): {problem}", markup=False)
    for problem in report["untold"][:MOST_UNTOLD]:
        err.print(problem, markup=False)
    if len(report["untold"]) > MOST_UNTOLD:
        err.print(f"and {len(report['untold']) - MOST_UNTOLD} events more (--json)")
    if report["reused_everything"]:
        out.print(f"Everything is up to date: all {len(report['artifacts'])} artifacts were reused.")
    out.print(f"{'Done' if report['complete'] else 'Stopped'} in {duration(report['seconds'])}.")
    if report["complete"]:
        recipes = [row["artifact"].split("/")[0] for row in report["artifacts"] if row["artifact"].endswith("/release")]
        if recipes:
            out.print(
                f"Next: forge verify {recipes[0]}/release | forge chat {recipes[0]} | "
                "make ui (lineage and plots) | add a recipe: copy a file in recipes/"
            )


def show_scores(recipe: str, scorecard: dict[str, Any]) -> None:
    """Print the scores of a recipe's checkpoints side by side."""
    checkpoints = scorecard["checkpoints"]
    metrics = sorted({metric for scores in checkpoints.values() for metric in scores})
    out.print(f"\nWhat {recipe} learned (score ± standard error):")
    table = Table("metric", *checkpoints, box=None, pad_edge=False)
    for metric in metrics:
        table.add_row(metric, *(_cell(scores.get(metric)) for scores in checkpoints.values()))
    out.print(table)
    show_gates(scorecard["gates"])


def show_gates(gates: Sequence[Mapping[str, Any]]) -> None:
    """Print the verdict of each gate."""
    for gate in gates:
        out.print(f"  gate {MARKS[gate['outcome']]}: {gate['reason']}", markup=False)


def _cell(score: dict[str, Any] | None) -> str:
    if score is None:
        return "-"
    error = score.get("stderr")
    return f"{score['value']:.3f}" + (f" ± {error:.3f}" if error else "")
