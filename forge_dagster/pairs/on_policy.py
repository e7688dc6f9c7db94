"""Preferences from a model's own answers: of several to one prompt, a better one over a worse one."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from forge_dagster.errors import DataError


class Sampled(NamedTuple):
    """One prompt, what the model answered, and the reward of each answer."""

    prompt: str
    answers: Sequence[str]
    rewards: Sequence[float]


class Preferred(NamedTuple):
    """A pair of different answers of which the chosen one has the higher reward."""

    prompt: str
    chosen: str
    rejected: str
    margin: float


def preferred(samples: Iterable[Sampled], *, least_margin: float) -> tuple[list[Preferred], dict[str, int]]:
    """At most one pair a prompt: the first of its best answers over the last of its worst; and counts that add up.

    A prompt gives none if all of its answers are the same, or its rewards are nearer than `least_margin`.
    Raises DataError if a reward is no number, or answers and rewards are not as many.
    """
    if not least_margin > 0:
        raise DataError(f"least_margin = {least_margin}", rule="a preference needs a difference", mend="raise it")
    found: list[Preferred] = []
    counts = {"prompts": 0, "pairs": 0, "same_answer": 0, "rewarded_alike": 0}
    for sample in samples:
        counts["prompts"] += 1
        if len(sample.answers) != len(sample.rewards) or any(
            not abs(reward) < float("inf") for reward in sample.rewards
        ):
            raise DataError(
                f"{len(sample.answers)} answers to {sample.prompt[:60]!r} with rewards {list(sample.rewards)}",
                rule="every answer has a reward that is a number",
                mend="correct the reward",
            )
        scored = sorted(
            zip(sample.rewards, range(len(sample.answers)), sample.answers, strict=True), key=lambda x: -x[0]
        )
        if len(set(sample.answers)) < 2:
            counts["same_answer"] += 1
            continue
        (high, _, chosen), (low, _, rejected) = scored[0], scored[-1]
        if high - low < least_margin or chosen == rejected:
            counts["rewarded_alike"] += 1
            continue
        counts["pairs"] += 1
        found.append(Preferred(sample.prompt, chosen, rejected, high - low))
    return found, counts
