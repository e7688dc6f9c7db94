"""The online preference stage: of two answers of its own, the model learns to prefer the better (Guo et al. 2024)."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from forge_dagster.stage import Report, Stage, StageContext
from forge_dagster.stages.base import CHECK_NAMES, check
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.scoring import Judge
from forge_dagster.training.tuning import Tuning

NEEDS = ("instructions", "policy_items")


class Settings(Tuning):
    """Settings of the online preference stage; nothing that changes the result has a default."""

    answer_form: str = Field(description="regular expression that a whole answer in form matches")
    steps: int = Field(ge=1)
    prompts: int = Field(ge=1, description="prompts of one step; each gets two answers")
    policy_share: float = Field(ge=0, le=1, description="of the prompts, items of policies, each policy as often")
    max_new_tokens: int = Field(ge=4, description="longest answer, in tokens")
    temperature: float = Field(gt=0)
    beta: float = Field(gt=0, description="how strongly the model is held to where it began")
    reward_model: Judge | None = Field(
        default=None, description="a reward model with a part in the reward; without it all is the verifiable one"
    )


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Train on pairs of sampled answers, judged by a reward (TRL's experimental OnlineDPOTrainer).

    TRL takes the first of two answers with equal rewards as the better one: the metric `scores_margin` near 0 says
    that it learns from noise. Raises DataError if all are equal throughout, or a prompt leaves no room for an answer.
    """
    from datasets import Dataset

    from forge_dagster.model.adapter import peft_config, write_trained
    from forge_dagster.pairs.policy_items import read_policies
    from forge_dagster.stages.rl import refuse_alike
    from forge_dagster.training import trl_common as common
    from forge_dagster.training.precision import thread_limit, threads
    from forge_dagster.training.prompts import prompts
    from forge_dagster.training.resumable import resumable
    from forge_dagster.training.scoring import reward_function, rewards_of
    from forge_dagster.training.trl_experimental import OnlineDPOConfig, OnlineDPOTrainer

    settings = config.settings
    model, tokenizer = common.begin(inputs, config.seed)
    positions = model.config.max_position_embeddings
    rows = prompts(
        inputs,
        tokenizer,
        count=settings.steps * settings.prompts,
        policy_share=settings.policy_share,
        room=positions - settings.max_new_tokens,
        seed=config.seed,
    )
    verifiable = reward_function(settings.answer_form, read_policies(inputs["policy_items"]))
    rewards = rewards_of(settings.reward_model, inputs, verifiable)
    with thread_limit(threads()):
        learner = resumable(OnlineDPOTrainer)(
            model=model,
            ref_model=common.reference(inputs, settings),
            peft_config=peft_config(model, settings.lora),
            reward_funcs=rewards.functions,
            args=OnlineDPOConfig(
                **common.arguments(context, config.seed),
                learning_rate=settings.learning_rate,
                warmup_steps=settings.warmup_share,
                max_steps=settings.steps,
                per_device_train_batch_size=settings.prompts,
                max_new_tokens=settings.max_new_tokens,
                max_length=positions,
                temperature=settings.temperature,
                beta=[settings.beta],
                reward_weights=rewards.weights,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )
        log = common.train(learner, context, common.identity(config, inputs), figure="objective/scores", name="reward")
    refuse_alike([row["objective/scores_margin"] for row in log])
    written = write_trained(learner.model, inputs["tokenizer"], out)
    first, last = common.ends(log, "objective/scores")
    return Report(
        counts={
            "prompts": len(rows),
            "steps": len(log),
            "answers": len(log) * settings.prompts * 2,
            **written,
        },
        metrics={
            "reward": last,
            "first_reward": first,
            "scores_margin": common.ends(log, "objective/scores_margin")[1],
        },
    )


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
