"""The one place where a training asks what an answer is worth."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from forge_dagster import rewards
from forge_dagster.errors import DataError
from forge_dagster.policy import Policy
from forge_dagster.policy_kinds import policy_reward
from forge_dagster.stage import FrozenModel

RewardFunction = Callable[..., list[float]]
"""As the trainers of TRL call it: with the prompts and completions of chats, and the columns of the prompts."""


class Judge(FrozenModel):
    """A reward model that has a say beside the verifiable reward."""

    name: str = Field(description="what an earlier reward_model stage of the recipe is called")
    share: float = Field(
        gt=0, le=1, description="weight of its score, which lies between 0 and 1; the rest is the verifiable reward's"
    )


class Rewards(NamedTuple):
    """Functions and their weights, which add up to 1."""

    functions: list[RewardFunction]
    weights: list[float]


def rewards_of(judge: Judge | None, inputs: Mapping[str, Path], verifiable: RewardFunction) -> Rewards:
    """The verifiable reward, and the score of the reward model among `inputs` if there is a `judge`."""
    if judge is None:
        return Rewards([verifiable], [1.0])
    return Rewards(
        [verifiable, judge_function(inputs["reward_model"], inputs["tokenizer"])], [1 - judge.share, judge.share]
    )


def score(text: str, *, answer: str, form: str) -> float:
    """The reward of one answer for its form and content. Raises DataError if it is no number."""
    return finite(rewards.reward(text.strip(), answer=answer, form=form), text)


def judge_function(folder: Path, tokenizer: Path) -> RewardFunction:
    """A reward model's score between 0 and 1: the probability that it prefers an answer to one of logit 0.

    The text of an answer never becomes a control token, as it would by way of TRL.
    """
    import torch
    from torch.nn.utils.rnn import pad_sequence
    from transformers import AutoModelForSequenceClassification

    from forge_dagster.tokens.control import PAD_ID
    from forge_dagster.tokens.encoding import encode_chat, load_encoder

    encoder = load_encoder(tokenizer)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    ).eval()

    def judge_reward(prompts: Sequence[Any], completions: Sequence[Any], **_: Any) -> list[float]:
        chats = [[*prompt, *completion] for prompt, completion in zip(prompts, completions, strict=True)]
        rows = [torch.tensor(encode_chat(encoder, chat)) for chat in chats]
        ids = pad_sequence(rows, batch_first=True, padding_value=PAD_ID)
        with torch.inference_mode():
            found = model(ids, attention_mask=(ids != PAD_ID).long()).logits[:, 0].sigmoid().tolist()
        return [finite(value, chat[-1]["content"]) for value, chat in zip(found, chats, strict=True)]

    return judge_reward


def finite(value: float, text: str) -> float:
    """The reward of an answer. Raises DataError if it is no number."""
    if not math.isfinite(value):
        raise DataError(
            f"the reward of {text.strip()[:60]!r} is {value}",
            rule="a reward is a number",
            mend="correct the reward; TRL would leave the answer out without a word",
        )
    return value


def reward_function(form: str, policies: Mapping[str, Policy]) -> RewardFunction:
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
