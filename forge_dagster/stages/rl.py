"""The RL stage: the model is rewarded for right answers in the asked form (GRPO, Shao et al. 2024)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from forge_dagster.errors import DataError
from forge_dagster.rewards import reward
from forge_dagster.stage import FrozenModel, Report, Stage, StageContext
from forge_dagster.stages.base import CHECK_NAMES, check
from forge_dagster.training.job import TrainingJob

NEEDS = ("instructions",)


class Settings(FrozenModel):
    """Settings of the RL stage; nothing that changes the result has a default."""

    answer_form: str = Field(description="regular expression that a whole answer in form matches")
    learning_rate: float = Field(gt=0)
    warmup_share: float = Field(ge=0, lt=1)
    steps: int = Field(ge=1)
    prompts: int = Field(ge=1, description="questions of one step")
    generations: int = Field(ge=2, description="answers to each question, compared with each other")
    max_new_tokens: int = Field(ge=4, description="longest answer, in tokens")
    temperature: float = Field(gt=0)
    beta: float = Field(gt=0, description="weight of the KL divergence from where the model began")


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Train on verifiable rewards over the train split of the instructions (TRL GRPOTrainer).

    Raises DataError if every answer is rewarded alike throughout, or a prompt leaves no room for an answer.
    """
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from forge_dagster.model.folder import write_model
    from forge_dagster.tokens.control import END_ID, PAD_ID
    from forge_dagster.training import trl_common as common
    from forge_dagster.training.precision import thread_limit, threads
    from forge_dagster.training.resumable import resumable

    settings = config.settings
    model, tokenizer = common.begin(inputs, config.seed)
    rows = common.text_rows(inputs["instructions"] / "rows.parquet", ("question", "answer"))
    prompts = [
        {"prompt": [{"role": "user", "content": row["question"]}], "answer": row["answer"]}
        for row in rows
        if row["split"] == "train"
    ]
    _room(prompts, tokenizer, model.config.max_position_embeddings - settings.max_new_tokens)

    def policy_reward(completions: list[list[dict[str, str]]], answer: list[str], **_: Any) -> list[float | None]:
        texts = [completion[0]["content"].strip() for completion in completions]
        return [
            reward(text, answer=right, form=settings.answer_form) for text, right in zip(texts, answer, strict=True)
        ]

    arguments = GRPOConfig(
        **common.arguments(context, config.seed),
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_share,
        max_steps=settings.steps,
        per_device_train_batch_size=settings.prompts * settings.generations,
        num_generations=settings.generations,
        max_completion_length=settings.max_new_tokens,
        temperature=settings.temperature,
        beta=settings.beta,
        loss_type="grpo",
        # Log-probabilities are taken of the answers alone, for which the balancing loss of a mixture is not defined.
        router_aux_loss_coef=0.0,
        generation_kwargs={"eos_token_id": END_ID, "pad_token_id": PAD_ID},
    )
    with thread_limit(threads()):
        trainer = resumable(GRPOTrainer)(
            model=model,
            reward_funcs=[policy_reward],
            args=arguments,
            train_dataset=Dataset.from_list(prompts),
            processing_class=tokenizer,
        )
        log = common.train(trainer, context, common.identity(config, inputs), figure="reward", name="reward")
    if all(row.get("reward_std", 0.0) == 0.0 for row in log):
        raise DataError(
            f"every answer of all {len(log)} steps was rewarded alike",
            rule="RL learns from differences between answers to one question",
            mend="train SFT longer, or raise temperature or generations",
        )
    write_model(model, inputs["tokenizer"], out)
    first, last = common.ends(log, "reward")
    return Report(
        counts={
            "prompts": len(prompts),
            "steps": len(log),
            "answers": len(log) * settings.prompts * settings.generations,
        },
        metrics={
            "reward": last,
            "first_reward": first,
            "kl": common.ends(log, "kl")[1],
            "entropy": common.ends(log, "entropy")[1],
        },
    )


def _room(prompts: list[dict[str, Any]], tokenizer: Any, room: int) -> None:
    for row in prompts:
        length = len(tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True)["input_ids"])
        if length > room:
            raise DataError(
                f"the question {row['prompt'][0]['content'][:60]!r} has {length} tokens",
                rule=f"a prompt leaves room for an answer: at most {room} tokens",
                mend="lower max_new_tokens or raise sequence_length of the base stage",
            )


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
