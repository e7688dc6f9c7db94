"""The offset preference stage: DPO with a margin as large as rewards differ (Amini et al. 2024)."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from forge_dagster.stage import Report, StageContext
from forge_dagster.stages import preference
from forge_dagster.training.job import TrainingJob

NEEDS = preference.NEEDS


class Settings(preference.Settings):
    """Settings of the preference stage, and what the margin is made of."""

    answer_form: str = Field(description="regular expression that a whole answer in form matches")
    offset: float = Field(gt=0, description="margin of a pair whose rewards differ by 1; alpha of Amini et al.")


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Train as the preference stage does, with a margin in the loss of each pair: offset times the rewards' difference.

    The chosen answer of a pair counts as the right one. Pairs of equal or reversed rewards have no margin.
    """
    from forge_dagster.training.offset_dpo import OFFSET, OffsetDPOTrainer
    from forge_dagster.training.scoring import score

    settings = config.settings

    def columns(row: Mapping[str, Any]) -> dict[str, float]:
        chosen, rejected = row["chosen"][0]["content"], row["rejected"][0]["content"]
        better, worse = (score(text, answer=chosen, form=settings.answer_form) for text in (chosen, rejected))
        return {OFFSET: settings.offset * max(better - worse, 0.0)}

    return preference.prefer(inputs, config, out, context, trainer=OffsetDPOTrainer, columns=columns)


STAGE = replace(preference.STAGE, run=run)
