"""The reward model stage: a head on the model learns to score chosen answers above rejected ones (Bradley, Terry)."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from forge_dagster.stage import FrozenModel, Report, Stage, StageContext
from forge_dagster.stages import base
from forge_dagster.training.job import TrainingJob

NEEDS = ("preferences",)
YIELDS = "reward_model"
HELD_OUT = 10
"""One prompt of so many is not trained on, and tells the accuracy."""


class Settings(FrozenModel):
    """Settings of the reward model stage; nothing that changes the result has a default."""

    learning_rate: float = Field(gt=0)
    warmup_share: float = Field(ge=0, lt=1)
    epochs: float = Field(gt=0)
    batch_size: int = Field(ge=1, description="pairs of one step")
    max_length: int = Field(ge=16, description="tokens of prompt and answer")


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Train a scorer on the preference pairs (TRL RewardTrainer), and judge it on prompts it has not seen."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    from forge_dagster.errors import DataError
    from forge_dagster.model.folder import write_model
    from forge_dagster.training import trl_common as common
    from forge_dagster.training.pairs import pairs
    from forge_dagster.training.precision import thread_limit, threads
    from forge_dagster.training.resumable import resumable

    settings = config.settings
    _, tokenizer = common.begin(inputs, config.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        inputs["previous"], num_labels=1, local_files_only=True, attn_implementation="sdpa"
    )
    common.fits(settings.max_length, model, "max_length")
    rows, counts = pairs(inputs["preferences"], inputs["tokenizer"], settings.max_length)
    aside = set(sorted({row["prompt"][0]["content"] for row in rows})[::HELD_OUT])
    seen = [row for row in rows if row["prompt"][0]["content"] not in aside]
    unseen = [row for row in rows if row["prompt"][0]["content"] in aside]
    if not seen:
        raise DataError(
            f"{len(rows)} preference pairs of one prompt",
            rule="a prompt to learn from and one to judge by",
            mend="add preferences",
        )
    with thread_limit(threads()):
        learner = resumable(RewardTrainer)(
            model=model,
            args=RewardConfig(
                **common.arguments(context, config.seed),
                learning_rate=settings.learning_rate,
                warmup_steps=settings.warmup_share,
                num_train_epochs=settings.epochs,
                per_device_train_batch_size=settings.batch_size,
                per_device_eval_batch_size=settings.batch_size,
                max_length=settings.max_length,
            ),
            train_dataset=Dataset.from_list(seen),
            eval_dataset=Dataset.from_list(unseen),
            processing_class=tokenizer,
        )
        log = common.train(learner, context, common.identity(config, inputs), figure="loss")
        judged = learner.evaluate()
    write_model(model, inputs["tokenizer"], out)
    return Report(
        counts={**counts, "seen": len(seen), "unseen": len(unseen), "steps": len(log)},
        metrics={
            "loss": common.ends(log, "loss")[1],
            "accuracy": common.ends(log, "accuracy")[1],
            "unseen_accuracy": judged["eval_accuracy"],
        },
    )


STAGE = Stage(run=run, check=base.check_files, check_names=base.CHECK_NAMES[:2], computes_floats=True)
