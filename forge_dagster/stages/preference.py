"""The preference stage: the model learns to prefer answers that keep the policy (DPO, Rafailov et al. 2023)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from forge_dagster.stage import Report, Stage, StageContext
from forge_dagster.stages.base import CHECK_NAMES, check
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.tuning import Tuning

NEEDS = ("preferences",)


class Settings(Tuning):
    """Settings of the preference stage; nothing that changes the result has a default."""

    epochs: float = Field(gt=0)
    batch_size: int = Field(ge=1, description="pairs of one step")
    beta: float = Field(gt=0, description="how strongly the model is held to where it began")
    sft_weight: float = Field(ge=0, description="weight of the loss on the chosen answers, which keeps them likely")
    max_length: int = Field(ge=16, description="tokens of prompt and answer")


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Train on the preference pairs against a frozen copy of the model it began with (TRL DPOTrainer).

    A pair that prefers an answer to itself or does not fit is left out and counted. Raises DataError if none is left.
    """
    from trl import DPOTrainer

    return prefer(inputs, config, out, context, trainer=DPOTrainer)


def prefer(
    inputs: Mapping[str, Path],
    config: TrainingJob[Any],
    out: Path,
    context: StageContext,
    *,
    trainer: type,
    columns: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
    **options: Any,
) -> Report:
    """Train by a kind of DPOTrainer, which is given `options` too, on pairs with the further `columns` of each."""
    from datasets import Dataset
    from trl import DPOConfig

    from forge_dagster.model.adapter import peft_config, write_trained
    from forge_dagster.training import trl_common as common
    from forge_dagster.training.pairs import pairs
    from forge_dagster.training.precision import thread_limit, threads
    from forge_dagster.training.resumable import resumable

    settings = config.settings
    model, tokenizer = common.begin(inputs, config.seed)
    common.fits(settings.max_length, model, "max_length")
    rows, counts = pairs(inputs["preferences"], inputs["tokenizer"], settings.max_length)
    arguments = DPOConfig(
        **common.arguments(context, config.seed),
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_share,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        beta=settings.beta,
        max_length=settings.max_length,
        loss_type=["sigmoid", "sft"],
        loss_weights=[1.0, settings.sft_weight],
    )
    with thread_limit(threads()):
        learner = resumable(trainer)(
            model=model,
            ref_model=common.reference(inputs, settings),
            peft_config=peft_config(model, settings.lora),
            args=arguments,
            train_dataset=Dataset.from_list([{**row, **columns(row)} for row in rows]),
            processing_class=tokenizer,
            **options,
        )
        log = common.train(
            learner, context, common.identity(config, inputs), figure="loss", plot="rewards/margins", name="margin"
        )
    written = write_trained(learner.model, inputs["tokenizer"], out)
    return Report(
        counts={**counts, "steps": len(log), **written},
        metrics={
            "loss": common.ends(log, "loss")[1],
            "margin": common.ends(log, "rewards/margins")[1],
            "accuracy": common.ends(log, "rewards/accuracies")[1],
        },
    )


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
