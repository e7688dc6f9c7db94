"""The one place where a training asks what an answer is worth."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from forge_dagster import rewards
from forge_dagster.errors import DataError
from forge_dagster.policy import Policy
from forge_dagster.policy_kinds import policy_reward


def score(text: str, *, answer: str, form: str) -> float:
    """The reward of one answer for its form and content. Raises DataError if it is no number."""
    return finite(rewards.reward(text.strip(), answer=answer, form=form), text)


def finite(value: float, text: str) -> float:
    """The reward of an answer. Raises DataError if it is no number."""
    if not math.isfinite(value):
        raise DataError(
            f"the reward of {text.strip()[:60]!r} is {value}",
            rule="a reward is a number",
            mend="correct the reward; TRL would leave the answer out without a word",
        )
    return value


def reward_function(form: str, policies: Mapping[str, Policy]) -> Callable[..., list[float]]:
    """The reward as the trainers of TRL call it: completions of a chat, and the columns of their prompts.

    An item of a policy is rewarded by that policy, an instruction by its form and its answer.
    """

    def reward(completions: Sequence[Any], policy: Sequence[str], case: Sequence[str], **_: Any) -> list[float]:
        def judged(text: str, name: str, facts: dict[str, Any]) -> float:
            return (
                finite(policy_reward(policies[name], text.strip(), facts), text)
                if name
                else score(text, answer=facts["answer"], form=form)
            )

        texts = [completion[0]["content"] for completion in completions]
        return [judged(text, name, json.loads(facts)) for text, name, facts in zip(texts, policy, case, strict=True)]

    return reward
