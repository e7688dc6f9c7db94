"""What agents see of an evaluation: its development items, and of the rest rounded gates alone.

Items that ask one thing are on one side: the two wordings of a fact, the four items of a block that share their
choices. A hash decides, so that an item stays on its side in every scorecard.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from forge_dagster.agents.quota import Sealing
from forge_dagster.errors import VerdictError
from forge_dagster.evaluation.card import Scorecard
from forge_dagster.evaluation.comparison import Compared, compare
from forge_dagster.evaluation.domain_benchmark import read_items
from forge_dagster.evaluation.evidence import Evidence
from forge_dagster.evaluation.item import Item
from forge_dagster.evaluation.score import Metric, Result, Score, aggregate

DIGITS = 3  # of scores over development items


class Seal:
    """Tells development items from sealed ones, by what they ask."""

    def __init__(self, sealing: Sealing, benchmark: Path | None) -> None:
        """`benchmark`: content of the domain benchmark whose items belong together; none if there is no such."""
        self.sealing = sealing
        self._units = dict(_units(benchmark)) if benchmark else {}

    def shows(self, item: str) -> bool:
        """Whether an item, by its id, is one that agents see."""
        part = hashlib.sha256(f"development:{self._unit(item)}".encode()).digest()
        return int.from_bytes(part[:8]) < self.sealing.development_share * 2**64

    def development(self, results: Mapping[str, Sequence[Result]]) -> dict[str, list[Result]]:
        """By metric the results of development items; metrics without any are left out."""
        shown = {name: [row for row in rows if self.shows(row.item)] for name, rows in results.items()}
        return {name: rows for name, rows in shown.items() if rows}

    def rounded(self, value: float) -> float:
        """A score over sealed items as it is told."""
        return round(round(value / self.sealing.rounding) * self.sealing.rounding, 6)

    def _unit(self, item: str) -> str:
        """What an item asks; an item pooled into another task is named after its own task first."""
        own = item.partition("/")[2]
        return self._units.get(item) or self._units.get(own) or item.rpartition("/")[2]


def _units(benchmark: Path) -> Iterator[tuple[str, str]]:
    for _, items in read_items(benchmark):
        for item in items:
            yield item["id"], str(item.get("fact") or item.get("block") or item["id"].rpartition("/")[2])


def development_items(seal: Seal, benchmark: Path, task: str | None) -> tuple[list[Item], dict[str, Any]]:
    """The development items of a task, or of all, and by task how many items there are on each side."""
    shown: list[Item] = []
    counts = {}
    for described, items in read_items(benchmark):
        open_ = [item for item in items if seal.shows(item["id"])]
        counts[described["name"]] = {"development": len(open_), "sealed": len(items) - len(open_)}
        if task in (None, described["name"]):
            shown += open_
    return shown, counts


def scores(card: Scorecard, found: Evidence, seal: Seal) -> dict[str, dict[str, Any]]:
    """Scores of every checkpoint over development items alone, by checkpoint and metric."""
    return {
        name: {
            metric: _told(aggregate(rows, card.metrics[metric]))
            for metric, rows in seal.development(results).items()
            if _is_a_mean(card.metrics[metric])
        }
        for name, results in found.items()
    }


def gates(card: Scorecard, seal: Seal) -> list[dict[str, Any]]:
    """The verdict of each gate, which is over all items, with its score rounded; its reason would tell it in full."""
    last = list(card.checkpoints.values())[-1]
    return [
        {"metric": each.metric, "outcome": each.outcome, "rounded": seal.rounded(last[each.metric].value)}
        for each in card.gates
        if each.metric in last
    ]


def compared(
    cards: tuple[Scorecard, Scorecard], found: tuple[Evidence, Evidence], seals: tuple[Seal, Seal]
) -> list[Compared]:
    """The last checkpoints of two scorecards, metric by metric, on development items, each by its own seal.

    Raises VerdictError if they have no metric in common.
    """
    sides = []
    for card, evidence, seal in zip(cards, found, seals, strict=True):
        results = seal.development(evidence[list(card.checkpoints)[-1]])
        metrics = {name: how for name, how in card.metrics.items() if name in results and _is_a_mean(how)}
        sides.append((results, {name: aggregate(results[name], how) for name, how in metrics.items()}, metrics))
    rows = compare((sides[0][1], sides[1][1]), (sides[0][0], sides[1][0]), sides[0][2])
    if not rows:
        raise VerdictError(
            "the two scorecards share no metric over development items",
            rule="models are compared on the same items",
            mend="compare scorecards of the same benchmark",
        )
    return rows


def _is_a_mean(metric: Metric) -> bool:
    """A maximum over some items says nothing of the others, and may be that of a sealed one's neighbour."""
    return metric.aggregate == "mean"


def _told(score: Score) -> dict[str, Any]:
    error = None if score.stderr is None else round(score.stderr, DIGITS)
    return {"value": round(score.value, DIGITS), "stderr": error, "items": score.n}
