"""The RLOO stage: RL whose baseline is the mean reward of the other answers to a question (Ahmadian et al. 2024)."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from forge_dagster.stage import Report, StageContext
from forge_dagster.stages import rl
from forge_dagster.training.job import TrainingJob

NEEDS = rl.NEEDS
Settings = rl.Settings


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Train on verifiable rewards (TRL RLOOTrainer). Raises as the RL stage does."""
    from trl import RLOOConfig, RLOOTrainer

    return rl.reinforce(inputs, config, out, context, trainer=RLOOTrainer, arguments=RLOOConfig)


STAGE = replace(rl.STAGE, run=run)
