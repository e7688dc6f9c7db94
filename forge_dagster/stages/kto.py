"""The KTO stage: the model learns from answers called good or bad one by one (Ethayarajh et al. 2024)."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from forge_dagster.stage import Report, Stage, StageContext
from forge_dagster.stages.base import CHECK_NAMES, check
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.tuning import Tuning

NEEDS = ("preferences",)


class Settings(Tuning):
    """Settings of the KTO stage; nothing that changes the result has a default."""

    epochs: float = Field(gt=0)
    batch_size: int = Field(ge=2, description="answers of one step; KTO compares those of different prompts")
    beta: float = Field(gt=0, description="how strongly the model is held to where it began")
    max_length: int = Field(ge=16, description="tokens of prompt and answer")


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Train on both answers of each preference pair, the chosen one as good, the other as bad (TRL KTOTrainer)."""
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer

    from forge_dagster.model.adapter import peft_config, write_trained
    from forge_dagster.training import trl_common as common
    from forge_dagster.training.pairs import pairs
    from forge_dagster.training.precision import thread_limit, threads
    from forge_dagster.training.resumable import resumable

    settings = config.settings
    model, tokenizer = common.begin(inputs, config.seed)
    common.fits(settings.max_length, model, "max_length")
    rows, counts = pairs(inputs["preferences"], inputs["tokenizer"], settings.max_length)
    answers = [
        {"prompt": row["prompt"], "completion": row[name], "label": name == "chosen"}
        for row in rows
        for name in ("chosen", "rejected")
    ]
    with thread_limit(threads()):
        learner = resumable(KTOTrainer)(
            model=model,
            ref_model=common.reference(inputs, settings),
            peft_config=peft_config(model, settings.lora),
            args=KTOConfig(
                **common.arguments(context, config.seed),
                learning_rate=settings.learning_rate,
                warmup_steps=settings.warmup_share,
                num_train_epochs=settings.epochs,
                per_device_train_batch_size=settings.batch_size,
                beta=settings.beta,
                max_length=settings.max_length,
            ),
            # TRL reads them in this order, and takes the KL divergence between neighbours: mixed, or both would be
            # answers to one prompt.
            train_dataset=Dataset.from_list(answers).shuffle(seed=config.seed),
            processing_class=tokenizer,
        )
        log = common.train(learner, context, common.identity(config, inputs), figure="loss")
    written = write_trained(learner.model, inputs["tokenizer"], out)
    good, bad = (common.ends(log, f"rewards/{side}")[1] for side in ("chosen", "rejected"))
    return Report(
        counts={**counts, "answers": len(answers), "steps": len(log), **written},
        metrics={"loss": common.ends(log, "loss")[1], "margin": good - bad, "kl": common.ends(log, "kl")[1]},
    )


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
