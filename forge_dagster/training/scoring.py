"""The one place where a training asks what an answer is worth."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from forge_dagster import rewards
from forge_dagster.errors import DataError


def score(text: str, *, answer: str, form: str) -> float:
    """The verifiable reward of one answer. Raises DataError if it is no number."""
    value = rewards.reward(text.strip(), answer=answer, form=form)
    if not math.isfinite(value):
        raise DataError(
            f"the reward of {text.strip()[:60]!r} is {value}",
            rule="a reward is a number",
            mend="correct the reward; TRL would leave the answer out without a word",
        )
    return value


def reward_function(form: str) -> Callable[..., list[float]]:
    """The reward as the trainers of TRL call it: completions of a chat, and the column `answer` of their prompts."""

    def policy_reward(completions: Sequence[Any], answer: Sequence[str], **_: Any) -> list[float]:
        texts = [completion[0]["content"] for completion in completions]
        return [score(text, answer=right, form=form) for text, right in zip(texts, answer, strict=True)]

    return policy_reward
