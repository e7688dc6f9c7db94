"""The SFT stage: the model learns to answer in the asked form, with the loss on the answers alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from forge_dagster.stage import Report, Stage, StageContext
from forge_dagster.stages.base import CHECK_NAMES, check
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.tuning import Tuning

NEEDS = ("instructions",)


class Settings(Tuning):
    """Settings of the SFT stage; nothing that changes the result has a default."""

    answer_template: str = Field(pattern=r"\{answer\}", description="the asked form; {answer} is what is said")
    epochs: float = Field(gt=0)
    batch_size: int = Field(ge=1, description="conversations of one step; rows of them if packed")
    max_length: int = Field(ge=16, description="tokens; longer conversations are left out")
    packing: bool = Field(description="whether a row of max_length tokens holds several conversations, kept apart")


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Fine-tune on the train split of the instructions (TRL SFTTrainer). Raises DataError if no row fits."""
    from trl import SFTTrainer

    return tune(inputs, config, out, context, trainer=SFTTrainer)


def tune(
    inputs: Mapping[str, Path],
    config: TrainingJob[Any],
    out: Path,
    context: StageContext,
    *,
    trainer: type,
    **options: Any,
) -> Report:
    """Train by a kind of SFTTrainer, which is given `options` too."""
    from datasets import Dataset
    from trl import SFTConfig

    from forge_dagster.model.adapter import peft_config, write_trained
    from forge_dagster.training import trl_common as common
    from forge_dagster.training.conversations import collate_packed, epoch_cost, pack, taught
    from forge_dagster.training.cost import write_cost
    from forge_dagster.training.precision import thread_limit, threads
    from forge_dagster.training.resumable import resumable

    settings = config.settings
    model, tokenizer = common.begin(inputs, config.seed)
    common.fits(settings.max_length, model, "max_length")
    told = taught(inputs["instructions"], inputs["tokenizer"], settings.answer_template, settings.max_length)
    examples, too_long = told
    tokens, operations = epoch_cost(model, told)
    rows: list[dict[str, list[int]]] = pack(examples, settings.max_length) if settings.packing else examples
    arguments = SFTConfig(
        **common.arguments(context, config.seed),
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_share,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        max_length=settings.max_length,
        remove_unused_columns=not settings.packing,  # TRL knows no positions of its own
    )
    with thread_limit(threads()):
        learner = resumable(trainer)(
            model=model,
            peft_config=peft_config(model, settings.lora),
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            data_collator=collate_packed if settings.packing else None,
            **options,
        )
        log = common.train(learner, context, common.identity(config, inputs), figure="loss")
    written = write_trained(learner.model, inputs["tokenizer"], out)
    epochs = len(log) / -(-len(rows) // settings.batch_size)
    write_cost(out, tokens=round(epochs * tokens), operations=round(epochs * operations))
    first, last = common.ends(log, "loss")
    return Report(
        counts={"conversations": len(examples), "too_long": too_long, "rows": len(rows), "steps": len(log), **written},
        metrics={"loss": last, "first_loss": first},
    )


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
