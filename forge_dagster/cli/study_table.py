"""A study for people: what it would cost, then what it found."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from forge_dagster.cli.console import err, out
from forge_dagster.search.found import Found
from forge_dagster.search.space import values_of

SHOWN = 5
"""Best trials of a table; trials.parquet has all."""
LIMITS = (
    "Each trial trained once, on fewer tokens and a narrower model than the recipe: train the proposal before you "
    "trust it, and compare the scorecards (forge scorecard RECIPE --compare)."
)


def show_plan(planned: Mapping[str, Any]) -> None:
    """Print the space, then size, stops and cost."""
    study = planned["study"]
    table = Table("setting", "recipe", "tried", box=None, pad_edge=False)
    for key, values in study["space"].items():
        log = ", by ratio" if values["log"] else ""
        tried = ", ".join(map(str, values["choices"])) or f"{values['low']:g} to {values['high']:g}{log}"
        table.add_row(key, _figure(planned["given"][key]), tried)
    err.print(table)
    scaled = [f"{rate} x {factor:g}" for rate, factor in planned["carried"].items() if factor != 1]
    err.print(
        f"At most {planned['most_trials']} trials of {planned['tokens_each']:,} tokens ({planned['steps_each']} steps) "
        f"at width {study['proxy']['width']}{', there with ' + ', '.join(scaled) if scaled else ''}; "
        f"{planned['side_by_side']} side by side.",
        soft_wrap=True,
    )
    if stops := planned["judged_after_steps"]:
        err.print(f"Each is judged ({study['pruner']}) after steps {', '.join(map(str, stops))}, and may end there.")
    err.print(
        f"At most {planned['most_operations']:.3g} training operations: what {planned['trainings_of_the_recipe']:g} "
        f"trainings of the recipe's first stage cost. Metric: {study['metric']}."
    )


def show(found: Found, proposal: Path, beside: Path) -> None:
    """Print the best trials and the recipe's own, what they cost, and where the proposal lies."""
    complete = sorted(
        (each for each in found.trials if each.value is not None), key=lambda each: (each.value, each.number)
    )
    rows = complete[:SHOWN]
    if found.own is not None and found.trials[found.own] not in rows:
        rows.append(found.trials[found.own])
    table = Table("trial", found.study.metric, "operations", *found.study.space, "", box=None, pad_edge=False)
    for trial in rows:
        own = "the recipe's own" if trial.number == found.own else ""
        value = trial.state if trial.value is None else f"{trial.value:.4f}"
        figures = [_figure(trial.point[key]) for key in found.study.space]
        table.add_row(str(trial.number), value, f"{trial.operations:.3g}", *figures, own)
    out.print(table)
    out.print(
        f"{len(found.trials)} trials: {found.count('complete')} complete, {found.count('pruned')} ended early, "
        f"{found.count('diverged')} diverged; {found.operations:.3g} training operations."
    )
    if found.importance:
        shares = ", ".join(f"{key} {share:.0%}" for key, share in found.importance.items())
        out.print(f"What makes a trial good: {shares}.", soft_wrap=True)
    out.print(_said(found), style="bold")
    out.print(f"Recipe: {proposal}; plots: {beside}", markup=False, soft_wrap=True)
    out.print(LIMITS, style="dim")


def _said(found: Found) -> str:
    if found.best == found.own:
        return "No trial was better than the recipe's own settings, which are proposed."
    given = values_of(found.study, found.recipe)
    changes = [f"{key} {_figure(given[key])} -> {_figure(value)}" for key, value in found.proposal.items()]
    return "Proposed: " + ", ".join(changes) + "."


def _figure(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
