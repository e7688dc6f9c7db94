"""The merge stage: the updates of a LoRA adapter are added into the weights it was trained on."""

from collections.abc import Mapping
from pathlib import Path

from forge_dagster.stage import NoConfig, Report, Stage, StageContext
from forge_dagster.stages.base import CHECK_NAMES, check
from forge_dagster.training.job import TrainingJob

NEEDS = ("adapter",)
Settings = NoConfig


def run(inputs: Mapping[str, Path], config: TrainingJob[NoConfig], out: Path, context: StageContext) -> Report:
    """Write whole weights, which anything can serve without peft. Raises WeightsError if the adapter does not fit."""
    from forge_dagster.model.adapter import with_adapter
    from forge_dagster.model.folder import load_model, write_model
    from forge_dagster.training.precision import thread_limit, threads

    with thread_limit(threads()):
        model = with_adapter(load_model(inputs["previous"]), inputs["adapter"])
        updates = sum("lora_A" in name for name, _ in model.named_parameters())
        whole = model.merge_and_unload(safe_merge=True)
    write_model(whole, inputs["tokenizer"], out)
    return Report(counts={"merged_matrices": updates})


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
