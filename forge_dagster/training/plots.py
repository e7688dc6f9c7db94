"""Plots of a training's log, as small PNG files: loss, validation, gradient norm, speed, routers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forge_dagster.training.log import Row

SMOOTHING = 0.95


def draw(rows: Sequence[Row], folder: Path) -> None:
    """Draw what the log holds: a plot without figures is not made."""
    validated = [row for row in rows if any(name.startswith("validation/") for name in row)]
    _lines(rows, ("loss",), "nats per token", folder / "loss.png", smooth=True)
    _lines(rows, ("grad_norm",), "gradient norm", folder / "gradient.png", smooth=True)
    _lines(rows, ("mfu",), "part of the matmul peak", folder / "mfu.png", smooth=True)
    sources = sorted({name for row in validated for name in row if name.startswith("validation/")})
    _lines(validated, sources, "validation bits per byte", folder / "validation.png", smooth=False)
    routed = [row for row in rows if "router" in row]
    if routed:
        _routers(routed, folder / "routers.png")


def _axes(path: Path, panels: int = 1) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, panels)


def _lines(rows: Sequence[Row], names: Sequence[str], label: str, path: Path, *, smooth: bool) -> None:
    figure, axes = _axes(path)
    drawn = False
    for name in names:
        shown = [row for row in rows if name in row]
        if not shown:
            continue
        drawn, tokens = True, [row["tokens"] for row in shown]
        values = [row[name] for row in shown]
        if not smooth:
            axes.plot(tokens, values, marker="o", markersize=3, label=name.removeprefix("validation/"))
            continue
        axes.plot(tokens, values, linewidth=0.6, alpha=0.5, label="of the step")
        axes.plot(tokens, _running_mean(values), linewidth=1.6, label="running mean")
    if not drawn:
        return
    axes.set_xlabel("tokens")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)


def _running_mean(values: Sequence[float]) -> list[float]:
    mean, means = values[0], []
    for value in values:
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        means.append(mean)
    return means


def _routers(rows: Sequence[Row], path: Path) -> None:
    figure, (left, right) = _axes(path, panels=2)
    layers = range(len(rows[-1]["router"]))
    for number in layers:
        left.plot([row["tokens"] for row in rows], [row["router"][number]["entropy"] for row in rows], label=number)
    left.set_xlabel("tokens")
    left.set_ylabel("entropy of expert use, 1 = equal")
    left.legend(title="layer", fontsize="small")
    shares = [rows[-1]["router"][number]["shares"] for number in layers]
    image = right.imshow(shares, aspect="auto", vmin=0.0)
    right.set_xlabel("expert")
    right.set_ylabel("layer")
    right.set_title("share of tokens, last", fontsize="small")
    figure.colorbar(image, ax=right)
    figure.savefig(path)
