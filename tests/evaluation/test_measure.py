"""A task over the items of others: their results as its own, whichever way they are had."""

import pytest

from forge_dagster.evaluation.measure import Subject, Task, overall, pooled
from forge_dagster.evaluation.score import Metric, Result, aggregate

KEPT = Metric(better="higher")


def task(name: str, kept: int, count: int) -> Task:
    digests = {f"g{number}": f"{name}{number}" for number in range(count)}

    def ask(subject: Subject) -> list[Result]:
        return [
            Result("kept", item, digest, item, float(number < kept))
            for number, (item, digest) in enumerate(digests.items())
        ]

    return Task(name=name, items=digests, settings={"of": name}, metrics={"kept": KEPT}, evaluate=ask)


def test_each_item_of_the_parts_counts_once():
    parts = [task("one", 30, 40), task("two", 0, 10)]
    whole = overall("both", parts)
    found = pooled(whole.parts, {part.name: part.evaluate(None) for part in parts})  # type: ignore[arg-type]
    assert list(whole.evaluate(None)) == found  # type: ignore[arg-type]
    assert {result.item: result.digest for result in found} == whole.items
    score = aggregate(found, KEPT)
    assert (score.value, score.n) == (0.6, 50)
    # 40 clusters, ten of them with an item of each part: ratio estimator of Cochran 1977, section 6.6
    spread = 10 * (1 - 0.6 * 2) ** 2 + 20 * 0.4**2 + 10 * 0.6**2
    assert score.stderr == pytest.approx((spread * 40 / 39) ** 0.5 / 50)


def test_what_is_asked_changes_with_the_parts():
    one, two, other = (overall("both", [task("one", 1, 4), task("two", 1, count)]) for count in (4, 4, 5))
    assert one.digest == two.digest != other.digest
    assert one.settings["parts"] == {"one": {"of": "one"}, "two": {"of": "two"}}
