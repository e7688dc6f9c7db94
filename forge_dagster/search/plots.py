"""A study as two plots: the best value over what was spent, and which settings decide it."""

from pathlib import Path

from forge_dagster.search.found import Found

CURVE, IMPORTANCE = "best_so_far.png", "importance.png"
MARKS = {"complete": ("o", "tab:blue"), "pruned": ("x", "0.55"), "diverged": ("v", "tab:red")}


def draw(found: Found, folder: Path) -> None:
    """Draw the curve; and the shares of the settings, if there were trials enough to tell."""
    _curve(found, folder / CURVE)
    if found.importance:
        _importance(found, folder / IMPORTANCE)


def _curve(found: Found, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained", dpi=90)
    axes = figure.subplots()
    spent = 0
    for trial in found.trials:
        spent += trial.operations
        seen = [trial.value] if trial.value is not None else list(trial.values[-1:])
        marker, colour = MARKS[trial.state]
        label = trial.state if trial.state not in axes.get_legend_handles_labels()[1] and seen else None
        axes.plot([spent] * len(seen), seen, marker, color=colour, markersize=5, label=label)
    operations, lowest = zip(*found.best_so_far(), strict=True)
    axes.step(operations, lowest, where="post", color="tab:blue", linewidth=1, label="best so far")
    axes.set_xlabel("training operations of all trials so far")
    axes.set_ylabel(f"{found.study.metric} (lower is better)")
    axes.grid(linewidth=0.4)
    axes.legend(fontsize=8)
    figure.savefig(path)


def _importance(found: Found, path: Path) -> None:
    from matplotlib.figure import Figure

    shares = sorted(found.importance.items(), key=lambda item: item[1])
    figure = Figure(figsize=(6, 1 + 0.35 * len(shares)), layout="constrained", dpi=90)
    axes = figure.subplots()
    axes.barh([key for key, _ in shares], [share for _, share in shares], color="tab:blue")
    axes.set_xlabel("share in what makes a trial good")
    axes.grid(axis="x", linewidth=0.4)
    figure.savefig(path)
