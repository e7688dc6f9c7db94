"""A model's own answers to prompts, sampled in batches, rewarded, and kept as they come: a stopped run goes on."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from forge_dagster.chance import number
from forge_dagster.errors import InterruptedRun
from forge_dagster.pairs.on_policy import Sampled
from forge_dagster.pairs.replies import Replies
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.stage import FrozenModel, StageContext
from forge_dagster.training.scoring import Rewards

AT_ONCE = 64  # answers of one batch


class Sampling(FrozenModel):
    """How answers are drawn."""

    answers: int = Field(ge=2, description="answers to each prompt")
    max_new_tokens: int = Field(ge=4, description="longest answer, in tokens")
    temperature: float = Field(gt=0)


def sampled(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Mapping[str, Any]],
    how: Sampling,
    rewards: Rewards,
    *,
    identity: Mapping[str, Any],
    seed: int,
    context: StageContext,
) -> list[Sampled]:
    """The answers of a model to each of `rows` (as `prompts` makes them), with their rewards.

    Batches stand by themselves: each has its own seed, and one that was answered before under the same `identity` is
    not answered again. Raises InterruptedRun between two of them if a stop was asked for, DataError if a reward is no
    number.
    """
    found: list[Sampled] = []
    size = max(AT_ONCE // how.answers, 1)
    with Replies(context.cache) as replies:
        for start in range(0, len(rows), size):
            if context.cancelled():
                raise InterruptedRun("sampling answers stopped", mend="run the same command again")
            batch = rows[start : start + size]
            digest = fingerprint({**identity, "batch": start, "prompts": [row["prompt"] for row in batch]})
            kept = replies.of(digest)
            if kept is None:
                kept = replies.keep(digest, json.dumps(_answers(model, tokenizer, batch, how, number(seed, digest))))
            found += [_rewarded(row, texts, rewards) for row, texts in zip(batch, json.loads(kept), strict=True)]
            context.progress(len(found), len(rows), "answers sampled")
    return found


def _answers(
    model: Any, tokenizer: Any, rows: Sequence[Mapping[str, Any]], how: Sampling, seed: int
) -> list[list[str]]:
    import torch

    from forge_dagster.tokens.control import END_ID, PAD_ID

    tokenizer.padding_side = "left"
    asked = tokenizer.apply_chat_template(
        [row["prompt"] for row in rows],
        add_generation_prompt=True,
        padding=True,
        return_tensors="pt",
        return_dict=True,
    )
    torch.manual_seed(seed % 2**63)
    with torch.inference_mode():
        tokens = model.generate(
            input_ids=asked["input_ids"],
            attention_mask=asked["attention_mask"],
            do_sample=True,
            top_k=0,
            temperature=how.temperature,
            num_return_sequences=how.answers,
            max_new_tokens=how.max_new_tokens,
            eos_token_id=END_ID,
            pad_token_id=PAD_ID,
        )
    texts = tokenizer.batch_decode(tokens[:, asked["input_ids"].shape[1] :], skip_special_tokens=True)
    return [texts[first : first + how.answers] for first in range(0, len(texts), how.answers)]


def _rewarded(row: Mapping[str, Any], texts: Sequence[str], rewards: Rewards) -> Sampled:
    given = {
        "prompts": [row["prompt"]] * len(texts),
        "completions": [[{"role": "assistant", "content": text}] for text in texts],
        "policy": [row["policy"]] * len(texts),
        "case": [row["case"]] * len(texts),
    }
    parts = [function(**given) for function in rewards.functions]
    total = [sum(w * r for w, r in zip(rewards.weights, each, strict=True)) for each in zip(*parts, strict=True)]
    return Sampled(row["prompt"][0]["content"], texts, total)
