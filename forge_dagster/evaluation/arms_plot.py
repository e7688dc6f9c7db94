"""A comparison as a plot: a panel a metric, an arm a line, its score with an interval."""

from pathlib import Path

from forge_dagster.evaluation.arms_table import Arms

WIDE = 1.96  # standard errors of a 95 % interval
BEST, OTHER = "tab:blue", "0.55"


def plot(body: Arms, path: Path) -> None:
    """Draw every metric; the best arm and those that cannot be told from it stand out."""
    from matplotlib.figure import Figure

    arms = [row.arm for row in body.rows]
    figure = Figure(figsize=(2.2 + 2.1 * len(body.metrics), 0.8 + 0.32 * len(arms)), layout="constrained", dpi=90)
    panels = figure.subplots(1, len(body.metrics), sharey=True, squeeze=False)[0]
    for axes, (metric, how) in zip(panels, body.metrics.items(), strict=True):
        for place, row in enumerate(body.rows):
            if cell := row.scores.get(metric):
                colour = BEST if cell.is_best else OTHER
                axes.errorbar(cell.value, place, xerr=WIDE * (cell.stderr or 0), fmt="o", color=colour, markersize=4)
        axes.set_title(f"{metric}\n({how.better} is better)", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(axis="x", linewidth=0.4)
    panels[0].set_yticks(range(len(arms)), arms, fontsize=8)
    panels[0].invert_yaxis()
    figure.savefig(path)
