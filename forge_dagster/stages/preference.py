"""The preference stage: the model learns to prefer answers that keep the policy (DPO, Rafailov et al. 2023)."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from forge_dagster.stage import FrozenModel, Report, Stage, StageContext
from forge_dagster.stages.base import CHECK_NAMES, check
from forge_dagster.training.job import TrainingJob

NEEDS = ("preferences",)


class Settings(FrozenModel):
    """Settings of the preference stage; nothing that changes the result has a default."""

    learning_rate: float = Field(gt=0)
    warmup_share: float = Field(ge=0, lt=1)
    epochs: float = Field(gt=0)
    batch_size: int = Field(ge=1, description="pairs of one step")
    beta: float = Field(gt=0, description="how strongly the model is held to where it began")
    sft_weight: float = Field(ge=0, description="weight of the loss on the chosen answers, which keeps them likely")
    max_length: int = Field(ge=16, description="tokens of prompt and answer")


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Train on the preference pairs against a frozen copy of the model it began with (TRL DPOTrainer)."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from forge_dagster.model.folder import load_model, write_model
    from forge_dagster.training import trl_common as common
    from forge_dagster.training.precision import thread_limit, threads

    settings = config.settings
    model, tokenizer = common.begin(inputs["previous"], config.seed)
    rows = common.text_rows(inputs["preferences"] / "rows.parquet", ("prompt", "chosen", "rejected"))
    pairs = [
        {
            "prompt": [{"role": "user", "content": row["prompt"]}],
            "chosen": [{"role": "assistant", "content": row["chosen"]}],
            "rejected": [{"role": "assistant", "content": row["rejected"]}],
        }
        for row in rows
    ]
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
        trainer = DPOTrainer(
            model=model,
            ref_model=load_model(inputs["previous"]),
            args=arguments,
            train_dataset=Dataset.from_list(pairs),
            processing_class=tokenizer,
            callbacks=[common.Progress(context, "loss")],
        )
        log = common.train(trainer, context, plot="rewards/margins", name="margin")
    write_model(model, inputs["tokenizer"], out)
    return Report(
        counts={"pairs": len(pairs), "steps": len(log)},
        metrics={
            "loss": common.ends(log, "loss")[1],
            "margin": common.ends(log, "rewards/margins")[1],
            "accuracy": common.ends(log, "rewards/accuracies")[1],
        },
    )


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
