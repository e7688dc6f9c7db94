"""The RL stage: the model is rewarded for right answers in form and for keeping policies (GRPO, Shao et al. 2024)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from forge_dagster.errors import DataError
from forge_dagster.stage import Finding, Report, Stage, StageContext
from forge_dagster.stages import base
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.scoring import Judge
from forge_dagster.training.stop_rules import RAN_ON, StopRules, check_training, write_training
from forge_dagster.training.tuning import Tuning

NEEDS = ("instructions", "policy_items")


class Settings(Tuning):
    """Settings of the RL stage; nothing that changes the result has a default."""

    answer_form: str = Field(description="regular expression that a whole answer in form matches")
    steps: int = Field(ge=1)
    prompts: int = Field(ge=1, description="prompts of one step")
    policy_share: float = Field(ge=0, le=1, description="of the prompts, items of policies, each policy as often")
    generations: int = Field(ge=2, description="answers to each prompt, compared with each other")
    max_new_tokens: int = Field(ge=4, description="longest answer, in tokens")
    temperature: float = Field(gt=0)
    beta: float = Field(gt=0, description="weight of the KL divergence from where the model began")
    reward_model: Judge | None = Field(
        default=None, description="a reward model with a part in the reward; without it all is the verifiable one"
    )
    stop: StopRules = Field(description="when the stage ends early; what was learnt by then is kept")


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Train on verifiable rewards over the train splits of instructions and policy items (TRL GRPOTrainer).

    Raises DataError if every answer is rewarded alike throughout, or a prompt leaves no room for an answer.
    """
    from trl import GRPOConfig, GRPOTrainer

    return reinforce(inputs, config, out, context, trainer=GRPOTrainer, arguments=GRPOConfig, loss_type="grpo")


def reinforce(
    inputs: Mapping[str, Path],
    config: TrainingJob[Any],
    out: Path,
    context: StageContext,
    *,
    trainer: type,
    arguments: type,
    **options: Any,
) -> Report:
    """Train by a trainer of TRL that compares several answers to each prompt; `options` are further arguments."""
    from datasets import Dataset

    from forge_dagster.model.adapter import peft_config, write_trained
    from forge_dagster.pairs.policy_items import read_policies
    from forge_dagster.tokens.control import END_ID, PAD_ID
    from forge_dagster.training import trl_common as common
    from forge_dagster.training.precision import thread_limit, threads
    from forge_dagster.training.prompts import prompts
    from forge_dagster.training.resumable import resumable
    from forge_dagster.training.scoring import reward_function, rewards_of

    settings = config.settings
    model, tokenizer = common.begin(inputs, config.seed)
    rows = prompts(
        inputs,
        tokenizer,
        count=settings.steps * settings.prompts,
        policy_share=settings.policy_share,
        room=model.config.max_position_embeddings - settings.max_new_tokens,
        seed=config.seed,
    )
    verifiable = reward_function(settings.answer_form, read_policies(inputs["policy_items"]))
    rewards = rewards_of(settings.reward_model, inputs, verifiable)
    with thread_limit(threads()):
        learner = resumable(trainer)(
            model=model,
            peft_config=peft_config(model, settings.lora),
            reward_funcs=rewards.functions,
            args=arguments(
                **common.arguments(context, config.seed),
                learning_rate=settings.learning_rate,
                warmup_steps=settings.warmup_share,
                max_steps=settings.steps,
                per_device_train_batch_size=settings.prompts * settings.generations,
                num_generations=settings.generations,
                max_completion_length=settings.max_new_tokens,
                temperature=settings.temperature,
                beta=settings.beta,
                reward_weights=rewards.weights,
                # Log-probabilities are taken of the answers alone, for which the balancing loss of a mixture is not
                # defined.
                router_aux_loss_coef=0.0,
                generation_kwargs={"eos_token_id": END_ID, "pad_token_id": PAD_ID},
                **options,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )
        watch = common.Watch(settings.stop)
        learner.add_callback(watch)
        log = common.train(learner, context, common.identity(config, inputs), figure="reward", name="reward")
    refuse_alike([row.get("reward_std", 0.0) for row in log])
    written = write_trained(learner.model, inputs["tokenizer"], out)
    write_training(out, len(log), watch.stopped)
    first, last = common.ends(log, "reward")
    return Report(
        counts={
            "prompts": len(rows),
            "of_policies": sum(bool(row["policy"]) for row in rows),
            "steps": len(log),
            "answers": len(log) * settings.prompts * settings.generations,
            "stopped_early": int(watch.stopped is not None),
            **written,
        },
        metrics={
            "reward": last,
            "first_reward": first,
            "kl": common.ends(log, "kl")[1],
            "entropy": common.ends(log, "entropy")[1],
        },
    )


def refuse_alike(differences: list[float]) -> None:
    """Raise DataError if the rewards of no step differed."""
    if not any(differences):
        raise DataError(
            f"every answer of all {len(differences)} steps was rewarded alike",
            rule="RL learns from differences between answers to one question",
            mend="train SFT longer, or raise temperature or generations",
        )


def check(content: Path) -> list[Finding]:
    """Judge the model folder, and tell if the training was stopped early."""
    return [*base.check(content), check_training(content)]


STAGE = Stage(run=run, check=check, check_names=(*base.CHECK_NAMES, RAN_ON), computes_floats=True)
