"""How often a gate is wrong, by simulation: two models answer items of right or wrong, and the recipe's gates judge.

`python -m benchmarks gates [--repeats 2000] [--gain 0.05] [--seed 6]`. The models differ on a quarter of the items, as
many as the power calculation asks for. Each repeat draws new items, and where it says so another seed of training; the
gates are the ones that a release asks. Of a small benchmark every outcome is judged as well, which needs no luck.
"""

import argparse
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from forge_dagster.evaluation.score import Metric, Result, aggregate
from forge_dagster.evaluation.statistics import (
    ALPHA,
    DISCORDANCE,
    POWER,
    items_needed,
    noise_floor,
    smallest_difference,
    smallest_gain,
)
from forge_dagster.gates import Case, judge, passed
from forge_dagster.recipe import Gate

RIGHT = Metric(better="higher")
NOISE = 0.02  # standard deviation of a score over seeds of training, where there is some
SEEDS = 4  # trainings that it was estimated from
PER_DOCUMENT = 5
SMALL = 100  # items of a small benchmark: its rates are computed as well
RARE = 1e-7  # chance of an outcome that is left out


class Scenario(NamedTuple):
    """What is true of each metric (how much better the candidate is), what is asked, and which outcome is wrong."""

    name: str
    wrong: str
    most: float
    truth: Sequence[float]
    gate: dict[str, float]
    items: int
    noise: float = 0.0
    seeds: int = 0
    per_document: int = 1


def scenarios(gain: float) -> list[Scenario]:
    """Each way to be wrong, at the number of items that the power calculation gives, and at fewer."""
    many, few = items_needed(gain), SMALL
    better, safe = {"gain": 0.0}, {"no_regression": gain}
    small = smallest_gain(few)
    return [
        Scenario("no better, a gain is required", "released", ALPHA, [0.0], better, many),
        Scenario(f"no better but for the seed, {SEEDS} tried", "released", ALPHA, [0.0], better, many, NOISE, SEEDS),
        Scenario("  the same without the noise floor", "released", 1.0, [0.0], better, many, NOISE),
        Scenario("no better, items of 5 a document", "released", ALPHA, [0.0], better, many, per_document=PER_DOCUMENT),
        Scenario(f"worse by {gain:g}, that much is too much", "released", ALPHA, [-gain], safe, many),
        Scenario(f"one metric of four worse by {gain:g}", "released", ALPHA, [-gain, 0.1, 0.1, 0.1], safe, many),
        Scenario(f"one metric of four worse by {2 * gain:g}", "released", ALPHA, [-2 * gain, 0, 0, 0], safe, many),
        Scenario(f"better by {gain:g}, a gain is required", "refused", 1 - POWER, [gain], better, many),
        Scenario(f"equal, {gain:g} worse is too much", "refused", 1 - POWER, [0.0], safe, many),
        Scenario(f"better by {small:.3f}, a small benchmark", "refused", 1 - POWER, [small], better, few),
        Scenario("no better, a small benchmark", "released", ALPHA, [0.0], better, few),
        Scenario(f"worse by {gain:g}, a small benchmark", "released", ALPHA, [-gain], safe, few),
    ]


def rate(scenario: Scenario, repeats: int, seed: int) -> float:
    """Share of repeats in which the gates are wrong."""
    chance = np.random.default_rng(seed)
    wrong = 0
    for _ in range(repeats):
        released = passed(judge(*_drawn(scenario, chance)))
        wrong += released == (scenario.wrong == "released")
    return wrong / repeats


def exactly(scenario: Scenario) -> float:
    """The rate itself: every count of items won and lost, judged, times its chance; of one metric without noise."""
    from scipy.stats import multinomial

    items = scenario.items
    shares = _shares(scenario.truth[0])
    wrong = 0.0
    for won in range(items + 1):
        for lost in range(items - won + 1):
            chance = float(multinomial.pmf([won, lost, items - won - lost], items, shares))
            if chance > RARE:
                ours = np.repeat([1, 0, 0], [won, lost, items - won - lost])
                theirs = np.repeat([0, 1, 0], [won, lost, items - won - lost])
                released = passed(judge(*_case(scenario, [np.stack([theirs, ours])], 0.0)))
                wrong += chance * (released == (scenario.wrong == "released"))
    return wrong


def _drawn(scenario: Scenario, chance: np.random.Generator) -> tuple[list[Gate], Case]:
    floor = _floor(scenario, chance)
    answers = []
    for truth in scenario.truth:
        lucky = truth + float(chance.normal(0, scenario.noise * math.sqrt(2)))
        answers.append(_answers(scenario, lucky, chance))
    return _case(scenario, answers, floor)


def _case(scenario: Scenario, given: Sequence[np.ndarray], floor: float) -> tuple[list[Gate], Case]:
    """The gates and what they judge, from answers [2, items] to each metric."""
    names = [f"task{number}.acc" for number in range(len(given))]
    answers: dict[str, dict[str, list[Result]]] = {"untrained": {}, "incumbent": {}, "base": {}}
    for name, both in zip(names, given, strict=True):
        for model, values in zip(("incumbent", "base"), both, strict=True):
            answers[model][name] = [
                Result("acc", str(n), "d", str(n // scenario.per_document), float(value))
                for n, value in enumerate(values)
            ]
        answers["untrained"][name] = answers["incumbent"][name]
    scores = {
        model: {
            name: aggregate(results, RIGHT).model_copy(update={"noise": floor}) for name, results in of_model.items()
        }
        for model, of_model in answers.items()
    }
    gates = [Gate(metric=name, **scenario.gate) for name in names]
    return gates, Case(scores, answers, dict.fromkeys(names, RIGHT), "untrained")


def _floor(scenario: Scenario, chance: np.random.Generator) -> float:
    """The noise floor that so many trainings would have given; none if nothing was tried."""
    if not scenario.seeds:
        return 0.0
    return noise_floor(float(np.std(chance.normal(0, scenario.noise, scenario.seeds), ddof=1)), scenario.seeds)


def _answers(scenario: Scenario, better: float, chance: np.random.Generator) -> np.ndarray:
    """Answers [2, items] of the incumbent and the candidate; of one document all items tend one way."""
    documents = -(-scenario.items // scenario.per_document)
    shares = _shares(better)
    kind = chance.choice(3, size=documents, p=shares)
    of_item = np.repeat(kind, scenario.per_document)[: scenario.items]
    if scenario.per_document > 1:  # half of the items go their own way
        alone = chance.random(scenario.items) < 0.5
        of_item = np.where(alone, chance.choice(3, size=scenario.items, p=shares), of_item)
    both = chance.random(scenario.items) < 0.7
    return np.stack([np.where(of_item == 2, both, of_item == 1), np.where(of_item == 2, both, of_item == 0)])


def _shares(better: float) -> np.ndarray:
    """Chances that the candidate alone is right, that the incumbent alone is, and that they do not differ."""
    discordance = max(DISCORDANCE, abs(better))
    shares = np.clip([(discordance + better) / 2, (discordance - better) / 2, 1 - discordance], 0, 1)
    return shares / shares.sum()


def main(*options: str) -> None:
    """Print the power calculation, then each scenario's rate beside what it may be at most."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gates", description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000, help="simulated judgements of each scenario")
    parser.add_argument("--gain", type=float, default=0.05, help="difference that matters, as a share of items")
    parser.add_argument("--seed", type=int, default=6, help="of the simulation")
    given = parser.parse_args(options)
    print(f"\nPaired items for a gain of {given.gain:g} (one-sided {ALPHA:.0%}, seen in {POWER:.0%}), by the share of")
    print("items on which two models differ, and the smallest gain that so many items see:")
    print(f"{'differ on':>12}{'items':>8}" + "".join(f"{f'{n} items':>12}" for n in (50, 100, 200, 400, 800)))
    for share in (0.1, 0.15, 0.2, DISCORDANCE, 0.3, 0.4):
        seen = "".join(f"{smallest_gain(n, share):>12.3f}" for n in (50, 100, 200, 400, 800))
        print(f"{share:>12.0%}{items_needed(given.gain, share):>8}{seen}")
    error = math.sqrt(DISCORDANCE / items_needed(given.gain))
    print(
        f"A standard error of {error:.4f} sees {smallest_difference(error):.3f}; {SEEDS} seeds that spread by "
        f"{NOISE:g} give a noise floor of {noise_floor(NOISE, SEEDS):.3f}."
    )
    print(f"\nGates judged by simulation, {given.repeats:,} repeats; models differ on {DISCORDANCE:.0%} of the items")
    print(f"{'':<42}{'items':>7}{'wrong if':>11}{'rate':>9}{'± error':>10}{'at most':>9}{'exactly':>9}")
    for scenario in scenarios(given.gain):
        found = rate(scenario, given.repeats, given.seed)
        spread = math.sqrt(max(found * (1 - found), 1 / given.repeats) / given.repeats)
        most = "" if scenario.most == 1.0 else f"{scenario.most:.0%}"
        rate_itself = f"{exactly(scenario):.1%}" if scenario.items == SMALL else ""
        print(
            f"{scenario.name:<42}{scenario.items:>7}{scenario.wrong:>11}{found:>9.1%}{spread:>10.1%}{most:>9}"
            f"{rate_itself:>9}",
            flush=True,
        )
