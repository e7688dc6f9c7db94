"""What can be guessed of a benchmark without knowing anything: by length, by tell-tale words, by word counts.

Whoever guesses sees the choices of an item alone (Poliak et al. 2018, Hypothesis Only Baselines).
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from forge_dagster.evaluation.item import Item
from forge_dagster.evaluation.reader import Reader
from forge_dagster.evaluation.statistics import most_by_chance
from forge_dagster.stage import FrozenModel

CONFIDENCE = 0.999
FOLDS = 10
PIECE = re.compile(r"\w+|[^\w\s]")
Guess = Callable[[Item], Sequence[float]]
"""A value for each choice of an item; the highest is taken."""


class Guessed(FrozenModel):
    """How often a guesser is right, and up to where that is chance (upper end of the binomial interval)."""

    guesser: str
    right: float
    limit: float
    n: int

    @property
    def at_chance(self) -> bool:
        """Whether more right answers than these are needed to say that the choices give something away."""
        return self.right <= self.limit


def share_right(guess: Guess, item: Item) -> float:
    """1 if the guess is right, 0 if wrong, a share of 1 where several choices have the highest value."""
    values = guess(item)
    best = [place for place, value in enumerate(values) if value == max(values)]
    return (item["gold"] in best) / len(best)


def by_length(sign: int) -> Guess:
    """The longest choice (1) or the shortest (-1)."""
    return lambda item: [sign * len(choice) for choice in item["choices"]]


def guessers(items: Sequence[Item], trained: Reader | None) -> dict[str, Mapping[str, float]]:
    """Right answers by item id, for each guesser; one that knows the training text only where that is given."""
    found: dict[str, Mapping[str, float]] = {
        "longest": {item["id"]: share_right(by_length(1), item) for item in items},
        "shortest": {item["id"]: share_right(by_length(-1), item) for item in items},
        "tell-tale": _tells(items),
    }
    if trained is not None:
        counts = {item["id"]: share_right(_by_counts(trained), item) for item in items}
        found["n-gram"] = counts
    return found


def judged(items: Sequence[Item], trained: Reader | None) -> list[Guessed]:
    """Each guesser on all items of a task."""
    return [
        Guessed(guesser=name, right=math.fsum(right.values()), limit=limit(items), n=len(items))
        for name, right in guessers(items, trained).items()
    ]


def limit(items: Sequence[Item]) -> int:
    """Right answers that chance alone passes once in 2,000 benchmarks."""
    chance = sum(1 / len(item["choices"]) for item in items) / len(items)
    return most_by_chance(len(items), chance, CONFIDENCE)


def _by_counts(trained: Reader) -> Guess:
    return lambda item: [-trained.surprise(choice) for choice in item["choices"]]


def _tells(items: Sequence[Item]) -> Mapping[str, float]:
    """Naive Bayes over words and pairs of words of right and wrong choices; judged on blocks it did not learn from."""
    folds: dict[int, list[Item]] = defaultdict(list)
    for place, name in enumerate(dict.fromkeys(_block(item) for item in items)):
        folds[place % FOLDS] += [item for item in items if _block(item) == name]
    every = _learned(items)
    right: dict[str, float] = {}
    for fold in folds.values():
        mine = _learned(fold)
        good, bad = every[0] - mine[0], every[1] - mine[1]
        for item in fold:
            right[item["id"]] = share_right(_bayes(good, bad), item)
    return right


def _block(item: Item) -> str:
    return str(item.get("block", item["id"]))


def _learned(items: Sequence[Item]) -> tuple[Counter[str], Counter[str]]:
    good: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for item in items:
        for place, choice in enumerate(item["choices"]):
            (good if place == item["gold"] else bad).update(_pieces(choice))
    return good, bad


def _pieces(choice: str) -> set[str]:
    found = PIECE.findall(choice.lower())
    return {*found, *map(" ".join, pairwise(found)), f"{len(found) // 4} long"}


def _bayes(good: Counter[str], bad: Counter[str]) -> Guess:
    of_good, of_bad = good.total() + 1, bad.total() + 1

    def weigh(piece: str) -> float:
        return math.log((good[piece] + 0.5) / of_good) - math.log((bad[piece] + 0.5) / of_bad)

    return lambda item: [round(math.fsum(map(weigh, sorted(_pieces(choice)))), 9) for choice in item["choices"]]
