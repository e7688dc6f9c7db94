"""Paired comparison of two models on the same items: bootstrap intervals, p-values, what a benchmark can see."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from forge_dagster.evaluation.score import Metric, Result, Score
from forge_dagster.stage import FrozenModel

ALPHA = 0.05
"""Chance that a gate is wrong where it should refuse."""
POWER = 0.8
"""Chance that a gain of the size a benchmark is made for is seen."""
RESAMPLES = 10_000
SEED = 20
SMALL = 1e-12
DISCORDANCE = 0.25
"""Share of items on which two models differ, where nothing is measured yet."""


class Paired(FrozenModel):
    """The difference of two models over the items both answered; positive is better, whichever way the metric goes.

    `low` and `high` bound it, each with an error of ALPHA, null where so few items bound nothing; `smallest` is the
    least difference that so many items see with a chance of POWER; `alone` counts items that one did not answer.
    """

    pairs: int
    alone: int
    difference: float
    low: float | None
    high: float | None
    p_gain: float
    """Chance of so good a result if the model were no better."""
    p_loss: float
    """Chance of so bad a result if the model were no worse."""
    smallest: float | None

    @property
    def p_equal(self) -> float:
        """Two-sided p-value of no difference."""
        return min(1.0, 2 * min(self.p_gain, self.p_loss))


def paired(candidate: Sequence[Result], other: Sequence[Result], metric: Metric) -> Paired | None:
    """Compare two models on the items of equal digest, clusters drawn whole; None if there is nothing to compare.

    Where every value is 0 or 1 the bounds are over two pairs more, one won and one lost (Bonett & Price 2012): without
    them a few items on which two models agree would leave no doubt. The same items give the same numbers, in any order.
    """
    theirs = {(result.item, result.digest): result for result in other}
    shared = [(result, theirs[key]) for result in candidate if (key := (result.item, result.digest)) in theirs]
    if not shared or metric.aggregate != "mean":
        return None
    sign = 1.0 if metric.better == "higher" else -1.0
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for ours, their in shared:
        sums[ours.cluster][0] += sign * (ours.value - their.value) * ours.weight
        sums[ours.cluster][1] += ours.weight
    table = np.array(sorted(map(tuple, sums.values())))
    difference = math.fsum(table[:, 0]) / math.fsum(table[:, 1])
    p_gain, p_loss = sign_flips(table[:, 0])
    shares = all(result.value in (0.0, 1.0) for pair in shared for result in pair)
    bounds = bootstrap(np.concatenate([table, [[1.0, 1.0], [-1.0, 1.0]]]) if shares else table, shares=shares)
    return Paired(
        pairs=len(shared),
        alone=len(candidate) + len(other) - 2 * len(shared),
        difference=difference,
        p_gain=p_gain,
        p_loss=p_loss,
        **bounds._asdict(),
    )


def sign_flips(sums: np.ndarray, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Chances of so large and of so small a total of `sums` [units] if each had either sign with equal chance.

    Fisher's randomization test of pairs (1935, section 21); on units of one right or wrong it is McNemar's, the sign
    test. It holds its level whatever the units' spread, none included, and with drawn flips too (Phipson & Smyth 2010).
    """
    sizes, counts = np.unique(np.abs(sums), return_counts=True)
    flipped = (2 * np.random.default_rng(SEED).binomial(counts, 0.5, size=(resamples, len(sizes))) - counts) @ sizes
    total, slack = math.fsum(sums), SMALL * math.fsum(np.abs(sums))  # sums of equal flips differ by their rounding
    return _share(flipped >= total - slack), _share(flipped <= total + slack)


class Bounds(NamedTuple):
    """What a bootstrap says of a mean difference."""

    low: float | None
    high: float | None
    smallest: float | None


def bootstrap(table: np.ndarray, *, shares: bool, resamples: int = RESAMPLES) -> Bounds:
    """Bounds of the ratio of summed columns of `table` [units, 2], by the bootstrap-t over units.

    Each draw is studentized by its own standard error (Efron & Tibshirani 1993, section 12.5): percentile intervals
    passed a regression of the size of the margin in 6 to 7 % of cases instead of 5 %. Equal rows are drawn together,
    as one number of a multinomial: the same distribution, and less work. Where too many draws have no spread to
    bound anything, `shares` have the normal interval over the pairs that were added to them, and others no bound.
    """
    if len(table) < 2:
        return Bounds(low=None, high=None, smallest=None)
    rows, counts = np.unique(table, axis=0, return_counts=True)
    chance = np.random.default_rng(SEED)
    middle, error = (float(each[0]) for each in _ratio(counts[None, :], rows))
    drawn, errors = _ratio(chance.multinomial(len(table), counts / len(table), size=resamples), rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        studentized = np.where(drawn == middle, 0.0, (drawn - middle) / errors)
    low, high = (_bound(studentized, share, middle, error, shares) for share in (1 - ALPHA, ALPHA))
    return Bounds(low=low, high=high, smallest=smallest_difference(error))


def _bound(studentized: np.ndarray, share: float, middle: float, error: float, shares: bool) -> float | None:
    reach = float(np.quantile(studentized, share, method="higher"))
    if not math.isfinite(reach):
        return middle - _normal(share) * error if shares else None
    return middle - reach * error


def _ratio(counts: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratio of sums and its standard error for each line of counts [draws, rows] (Cochran 1977, section 6.6)."""
    values, weights = rows[:, 0], rows[:, 1]
    units, total = counts.sum(axis=1), counts @ weights
    ratio = (counts @ values) / total
    spread = counts @ values**2 - 2 * ratio * (counts @ (values * weights)) + ratio**2 * (counts @ weights**2)
    spread = np.where(spread > SMALL * (counts @ values**2), spread, 0.0)  # what rounding leaves of nothing
    return ratio, np.sqrt(spread * units / np.maximum(units - 1, 1)) / total


def _share(hits: np.ndarray) -> float:
    """Share of draws, never 0: so many draws cannot say less than one in so many (Davison & Hinkley 1997, 4.2.3)."""
    return (int(hits.sum()) + 1) / (len(hits) + 1)


def interval(results: Sequence[Result], score: Score) -> tuple[float, float] | None:
    """95 % interval of a score: Wilson's for shares, with as many items as its standard error speaks for; else
    two-sided normal. None where it has no error."""
    if score.stderr is None:
        return None
    z = _normal(0.975)
    if any(result.value not in (0.0, 1.0) for result in results):
        return score.value - z * score.stderr, score.value + z * score.stderr
    share = score.value
    items = min(score.n, share * (1 - share) / score.stderr**2) if score.stderr else len({r.cluster for r in results})
    middle, spread = share + z * z / (2 * items), z * math.sqrt(share * (1 - share) / items + (z / (2 * items)) ** 2)
    return tuple((middle + sign * spread) / (1 + z * z / items) for sign in (-1, 1))  # type: ignore[return-value]


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values: below a level, they hold together at that level (Holm 1979)."""
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, (name, p_value) in enumerate(sorted(p_values.items(), key=lambda pair: (pair[1], pair[0]))):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_value))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def noise_floor(deviation: float, seeds: int) -> float:
    """The difference that two trainings of one recipe, alike but for the seed, exceed with a chance of ALPHA.

    `deviation` is that of `seeds` trainings. So few tell little of their spread: the quantile is Student's, as of the
    mean of a small sample, which for 4 seeds is 1.43 times the normal one.
    """
    from scipy.special import stdtrit

    return float(stdtrit(seeds - 1, 1 - ALPHA)) * math.sqrt(2) * deviation


def noise_floors(deviations: Mapping[str, float], seeds: int | None) -> dict[str, float]:
    """The noise floor of each metric of a recipe; none where it was never trained with several seeds."""
    return {} if seeds is None else {metric: noise_floor(each, seeds) for metric, each in deviations.items()}


def smallest_difference(error: float) -> float:
    """The least true difference that is seen with a chance of POWER, given the standard error of a difference."""
    return (_normal(1 - ALPHA) + _normal(POWER)) * error


def items_needed(gain: float, discordance: float = DISCORDANCE) -> int:
    """Paired items of right or wrong on which a gain is seen with a chance of POWER (Connor 1987, one-sided).

    2 / gain are added: counts are whole, and a gate adds two pairs; without them simulation missed 21 % instead of 20.
    `discordance` is the share of items on which the models differ, at least as large as the gain.
    """
    root = _normal(1 - ALPHA) * math.sqrt(discordance) + _normal(POWER) * math.sqrt(discordance - gain**2)
    return math.ceil((root / gain) ** 2 + 2 / gain)


def smallest_gain(items: int, discordance: float = DISCORDANCE) -> float:
    """The least gain that so many items see: `items_needed` the other way round; 1 where they see none."""
    low, high = 1e-6, discordance
    if items_needed(high, discordance) > items:
        return 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if items_needed(middle, discordance) <= items else (middle, high)
    return high


def most_by_chance(items: int, chance: float, confidence: float) -> int:
    """Right answers up to where guessing is the explanation: upper end of the binomial interval of a confidence.

    scipy.stats has it too, and takes a second to load.
    """
    if chance >= 1:
        return items
    total = 0.0
    for right in range(items):
        ways = math.lgamma(items + 1) - math.lgamma(right + 1) - math.lgamma(items - right + 1)
        total += math.exp(ways + right * math.log(chance) + (items - right) * math.log1p(-chance))
        if total >= (1 + confidence) / 2:
            return right
    return items


def _normal(chance: float) -> float:
    return NormalDist().inv_cdf(chance)
