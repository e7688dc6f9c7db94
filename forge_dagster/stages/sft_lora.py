"""The LoRA stage: SFT of low-rank updates alone; their adapter is merged by the stage after it (Hu et al. 2021)."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from forge_dagster.stage import Finding, Report, Stage, StageContext
from forge_dagster.stages import sft
from forge_dagster.training.job import TrainingJob

NEEDS = sft.NEEDS
YIELDS = "adapter"
CHECK_NAMES = ("adapter_is_complete", "adapter_is_finite")


class Settings(sft.Settings):
    """Settings of the SFT stage, and the shape of the updates."""

    rank: int = Field(ge=1, description="rank of each update")
    alpha: int = Field(ge=1, description="an update is scaled by alpha / rank")
    modules: tuple[str, ...] = Field(
        min_length=1, description="ends of the names of the matrices that are updated, e.g. q_proj, v_proj"
    )


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Fine-tune an adapter on the instructions; write adapter_config.json and adapter_model.safetensors.

    Raises RecipeError if the model has no matrix of a name in `modules`, and what SFT raises.
    """
    from trl import SFTTrainer

    from forge_dagster.model.adapter import adapted, write_adapter
    from forge_dagster.training import trl_common as common

    settings = config.settings
    model, tokenizer = common.begin(inputs, config.seed)
    model = adapted(model, rank=settings.rank, alpha=settings.alpha, modules=settings.modules, seed=config.seed)
    report = sft.tune(inputs, config, context, model=model, tokenizer=tokenizer, trainer=SFTTrainer)
    write_adapter(model, out)
    trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
    return report.model_copy(update={"counts": {**report.counts, "trained_parameters": trained}})


def check(content: Path) -> list[Finding]:
    """Judge an adapter: its two files are there, and every weight is a number."""
    from forge_dagster.model.adapter import CONFIG, WEIGHTS, not_finite

    missing = [name for name in (CONFIG, WEIGHTS) if not (content / name).is_file()]
    broken = not_finite(content) if WEIGHTS not in missing else []
    return [
        Finding(name=CHECK_NAMES[0], passed=not missing, observed={"missing": missing}),
        Finding(name=CHECK_NAMES[1], passed=not missing and not broken, observed={"not_finite": broken}),
    ]


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
