"""The scorecard as bars: one group a metric, one bar a checkpoint, chance as a line."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from forge_dagster.evaluation.score import Score


def plot_scores(scores: Mapping[str, Mapping[str, Score]], chance: Mapping[str, float], path: Path) -> None:
    """Draw every metric between 0 and 1 as bars with one standard error, and `chance` where guessing scores it."""
    from matplotlib.figure import Figure

    checkpoints = list(scores)
    metrics = [name for name in _metrics(scores) if all(s[name].value <= 1 for s in scores.values() if name in s)]
    figure = Figure(figsize=(1.6 + 1.5 * len(metrics), 3.2), layout="constrained", dpi=90)
    axes = figure.subplots()
    width = 0.8 / len(checkpoints)
    for number, checkpoint in enumerate(checkpoints):
        places = [index + (number - (len(checkpoints) - 1) / 2) * width for index in range(len(metrics))]
        values = [scores[checkpoint][name].value if name in scores[checkpoint] else 0.0 for name in metrics]
        errors = [(scores[checkpoint][name].stderr or 0.0) if name in scores[checkpoint] else 0.0 for name in metrics]
        axes.bar(places, values, width, yerr=errors, label=checkpoint, error_kw={"elinewidth": 0.7})
    for index, name in enumerate(metrics):
        if name in chance:
            axes.hlines(chance[name], index - 0.45, index + 0.45, colors="black", linestyles="dotted", linewidth=1)
    axes.set_xticks(range(len(metrics)), [name.replace(".", "\n") for name in metrics], fontsize=8)
    axes.set_ylim(0, 1)
    axes.set_ylabel("score (dotted: chance)", fontsize=8)
    axes.legend(fontsize=7, ncols=len(checkpoints), loc="upper left")
    figure.savefig(path)


def _metrics(scores: Mapping[str, Mapping[str, Score]]) -> Sequence[str]:
    return sorted({name for checkpoint in scores.values() for name in checkpoint})
