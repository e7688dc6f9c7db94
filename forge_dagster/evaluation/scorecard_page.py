"""The scorecard as one HTML page that loads nothing, and the rows it shares with the terminal."""

import base64
from pathlib import Path
from typing import NamedTuple

from forge_dagster.evaluation.card import Scorecard
from forge_dagster.evaluation.evidence import Evidence
from forge_dagster.evaluation.score import Score
from forge_dagster.evaluation.statistics import interval
from forge_dagster.html_page import filled

TEMPLATE = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")  # when the code is: they are of one version
PAGE = "scorecard.html"


class Row(NamedTuple):
    """One metric as text: a cell for each checkpoint, and what is known of the last one's score."""

    metric: str
    better: str
    cells: list[str]
    interval: str
    items: str
    chance: str
    noise: str


def rows(card: Scorecard, found: Evidence) -> list[Row]:
    """Every metric of a scorecard, by name."""
    last = list(card.checkpoints)[-1]
    made = []
    for name, metric in sorted(card.metrics.items()):
        score = card.checkpoints[last][name]
        bounds = interval(found[last][name], score)
        made.append(
            Row(
                metric=name,
                better=metric.better,
                cells=[cell(scores.get(name)) for scores in card.checkpoints.values()],
                interval="-" if bounds is None else f"{bounds[0]:.3f} .. {bounds[1]:.3f}",
                items=f"{score.n:,}",
                chance="-" if metric.chance is None else f"{metric.chance:.3f}",
                noise="-" if score.noise is None else f"{score.noise:.4f}",
            )
        )
    return made


def cell(score: Score | None) -> str:
    """A score as people read it."""
    if score is None:
        return "-"
    return f"{score.value:.3f}" + (f" ± {score.stderr:.3f}" if score.stderr else "")


def page(card: Scorecard, found: Evidence, plot: Path) -> str:
    """HTML of a scorecard with its plot, a PNG file."""
    sizes = [task.items for task in card.tasks.values()]
    return filled(
        TEMPLATE,
        card=card.model_dump(),
        checkpoints=list(card.checkpoints),
        items=f"{min(sizes):,} to {max(sizes):,}",
        rows=rows(card, found),
        plot=base64.b64encode(plot.read_bytes()).decode(),
    )
