"""The distillation stage: the model learns what a larger one expects at each token (Hinton et al. 2015)."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from forge_dagster.stage import Report, Stage, StageContext
from forge_dagster.stages import sft
from forge_dagster.stages.base import CHECK_NAMES, check
from forge_dagster.training.job import TrainingJob

NEEDS = ("instructions", "teacher")


class Settings(sft.Settings):
    """Settings of the SFT stage, and what is learnt from whom."""

    teacher: str = Field(
        pattern=r"^[^/]+/[^/]+$",
        description="RECIPE/STAGE, or external/WEIGHTS: open weights that a recipe lists as `weights` or `teachers`",
    )
    temperature: float = Field(gt=0, description="both distributions are flattened by it before they are compared")
    hard_share: float = Field(ge=0, lt=1, description="weight of the answers themselves; the rest is the teacher's")


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Train on the instructions towards the teacher's logits, forward KL divergence over the tokens of the answers.

    Raises WeightsError if the teacher has another tokenizer, and what SFT raises.
    """
    from forge_dagster.model.teacher import load_teacher
    from forge_dagster.training import trl_common as common
    from forge_dagster.training.distillation import DistillationTrainer

    settings = config.settings
    teacher = load_teacher(inputs["teacher"], inputs["tokenizer"])
    common.fits(settings.max_length, teacher, "max_length")
    report = sft.tune(
        inputs,
        config,
        out,
        context,
        trainer=DistillationTrainer,
        teacher=teacher,
        temperature=settings.temperature,
        hard_share=settings.hard_share,
    )
    return report.model_copy(update={"counts": {**report.counts, "teacher_parameters": teacher.num_parameters()}})


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
