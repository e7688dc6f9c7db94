"""The continued stage: open weights trained further on the token shards; a share of general text may be replayed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from forge_dagster.source import Name
from forge_dagster.stage import Report, StageContext
from forge_dagster.stages import base
from forge_dagster.training import settings as training
from forge_dagster.training.job import TrainingJob

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NEEDS = ("token_shards", "weights")


class Settings(training.Settings):
    """Settings of the continued stage: those of base, and which source of the mixture is general text."""

    replay: Name | None = Field(
        description="source of general text, replayed against forgetting; its share is its weight. null: none is"
    )

    @model_validator(mode="after")
    def replays_something(self) -> Self:
        if self.replay is None:
            return self
        if self.mixture is None:
            raise ValueError(f"replay = {self.replay!r}, and no mixture says what its share is")
        shares = {name: share for name, share in self.mixture.shares().items() if share}
        if self.replay not in shares or len(shares) < 2:
            raise ValueError(
                f"replay = {self.replay!r}; the mixture gives a share to this source of general text and to another "
                f"one, it has {sorted(shares)}"
            )
        return self


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Train further and write what base writes, and forgetting.json: bits per byte before and after, by source.

    Raises what base raises, DataError if a source has no validation document, WeightsError if tokenizer and weights
    do not fit.
    """
    from forge_dagster.model.folder import load_model
    from forge_dagster.model.start import starting_model
    from forge_dagster.training.forgetting import by_source, write_forgetting

    names = config.settings.mixture.sources if config.settings.mixture else None
    before: dict[str, float] = {}

    def begin(vocab_size: int) -> "PreTrainedModel":
        model = starting_model(inputs["weights"], inputs["tokenizer"])
        before.update(by_source(model, inputs["token_shards"], config.settings, context, names))
        return model

    report = base.train(inputs, config, out, context, begin)
    after = by_source(load_model(out), inputs["token_shards"], config.settings, context, names)
    replay = config.settings.replay
    forgotten = None if replay is None else after[replay] - before[replay]
    metrics = write_forgetting(out, before, after, forgotten, {"replay": replay})
    return report.model_copy(update={"metrics": {**report.metrics, **metrics}})


STAGE = replace(base.STAGE, run=run)
