"""The start stage: open weights as they came, laid out for the recipe's tokenizer; nothing is trained."""

from collections.abc import Mapping
from pathlib import Path

from forge_dagster.corpus.rights import refuse_mixture
from forge_dagster.stage import NoConfig, Report, Stage, StageContext
from forge_dagster.stages.base import CHECK_NAMES, check
from forge_dagster.training.job import TrainingJob

NEEDS = ("weights",)
Settings = NoConfig


def run(inputs: Mapping[str, Path], config: TrainingJob[NoConfig], out: Path, context: StageContext) -> Report:
    """Write the weights as the next stage goes on from them. Raises WeightsError if the tokenizer is not theirs."""
    from forge_dagster.model.folder import write_model
    from forge_dagster.model.start import starting_model
    from forge_dagster.training.cost import write_cost
    from forge_dagster.training.precision import thread_limit, threads

    refuse_mixture(inputs, config.limits)
    with thread_limit(threads()):
        model = starting_model(inputs["weights"], inputs["tokenizer"])
    write_model(model, inputs["tokenizer"], out)
    write_cost(out, tokens=0, operations=0)
    return Report(counts={"parameters": model.num_parameters()})


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
