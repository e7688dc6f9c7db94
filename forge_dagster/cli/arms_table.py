"""A comparison of approaches for people: the budget before it begins, then costs and scores."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from forge_dagster.cli.console import err, out
from forge_dagster.comparison import Comparison
from forge_dagster.evaluation.arms_table import Arms, Cell
from forge_dagster.recipe import Recipe

AT_ONCE = 5
"""Metrics of one table: more do not fit on a line."""
WIDE = 1.96
LIMITS = (
    "Each model was trained once: the intervals are those of the items, not of the seeds. None was trained to read "
    "passages, and what the base cost those who made it is not counted."
)


def show_plan(budget: int, recipes: Sequence[Recipe], comparison: Comparison, folder: Path) -> None:
    """Print what each approach may spend and on what, and how it could be run by itself."""
    err.print(
        f"Budget: {budget:.3g} floating-point operations of training (6 a parameter and token), and "
        f"{comparison.inference_tokens} tokens an answer, passages included. Arms: {len(comparison.arms)}."
    )
    table = Table("recipe", "stage", "tokens", "epochs", "from", box=None, pad_edge=False)
    for recipe in recipes:
        for entry in recipe.stages:
            of = recipe.weights.name if recipe.weights else "scratch"
            tokens, epochs = entry.settings.get("tokens"), entry.settings.get("epochs")
            table.add_row(
                recipe.name, entry.called, f"{tokens:,}" if tokens else "", f"{epochs:g}" if epochs else "", of
            )
    err.print(table)
    err.print(f"Each by itself: FORGE_RECIPES={folder / 'recipes'} forge run --recipe NAME", soft_wrap=True)


def show(body: Arms) -> None:
    """Print the arms: costs, then scores, AT_ONCE metrics a table."""
    costs = Table("approach", "parameters", "trained on", "operations", "prompt", "reply", "answer in passages",
                  box=None, pad_edge=False)  # fmt: skip
    for row in body.rows:
        prompts = [f"{tokens:.0f}" for tokens in row.prompt_tokens.values()]
        held = [f"{row.holds_answer[task]:.0%}" for task in row.prompt_tokens if task in row.holds_answer]
        costs.add_row(
            row.arm, f"{row.parameters / 1e6:.1f} M", f"{row.training_tokens:,}", f"{row.training_operations:.2g}",
            "/".join(prompts), f"{row.reply_tokens:.0f}", "/".join(held),
        )  # fmt: skip
    out.print(
        f"\nWhat each approach costs; tokens of a prompt, and answers that its passages hold, are by task in the "
        f"order {', '.join(_tasks(body))}"
    )
    out.print(costs)
    metrics = list(body.metrics)
    for begin in range(0, len(metrics), AT_ONCE):
        part = metrics[begin : begin + AT_ONCE]
        table = Table("approach", *part, box=None, pad_edge=False)
        for row in body.rows:
            table.add_row(row.arm, *(_cell(row.scores.get(metric)) for metric in part))
        out.print("\nScore and its 95 % interval; * the best, or not to be told from it on the same items (Holm, 5 %)")
        out.print(table)
    if body.left_out:
        counts = ", ".join(f"{count} of {task}" for task, count in body.left_out.items())
        out.print(f"\nAsked of no approach, for a choice alone passes {body.inference_tokens} tokens in one: {counts}")
    out.print(f"\n{body.reading}", markup=False)
    out.print(LIMITS, style="dim")


def _tasks(body: Arms) -> list[str]:
    return list(body.rows[0].prompt_tokens)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    wide = f" ± {WIDE * cell.stderr:.3f}" if cell.stderr is not None else ""
    return f"{cell.value:.3f}{wide}{' *' if cell.is_best else ''}"
