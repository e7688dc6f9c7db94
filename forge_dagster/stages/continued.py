"""The continued stage: open weights trained further on the token shards, with a share of general text replayed."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from forge_dagster.source import Name
from forge_dagster.stage import Report, StageContext
from forge_dagster.stages import base
from forge_dagster.tokens.mixture import Mixture
from forge_dagster.training import settings as training
from forge_dagster.training.job import TrainingJob

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NEEDS = ("token_shards", "weights")
FORGETTING = "forgetting.json"


class Settings(training.Settings):
    """Settings of the continued stage: those of base, and which source of the mixture is general text."""

    mixture: Mixture = Field(description="share and epochs of each source")
    replay: Name = Field(description="source of general text, replayed against forgetting; its share is its weight")

    @model_validator(mode="after")
    def replays_something(self) -> Self:
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

    before: dict[str, float] = {}

    def begin(vocab_size: int) -> "PreTrainedModel":
        model = starting_model(inputs["weights"], inputs["tokenizer"])
        before.update(_by_source(model, inputs["token_shards"], config.settings, context))
        return model

    report = base.train(inputs, config, out, context, begin)
    after = _by_source(load_model(out), inputs["token_shards"], config.settings, context)
    replay = config.settings.replay
    told = {
        "replay": replay,
        "measure": "validation bits per byte, in windows of sequence_length",
        "sources": {name: {"before": before[name], "after": after[name]} for name in before},
    }
    (out / FORGETTING).write_text(json.dumps(told, indent=1, sort_keys=True), encoding="utf-8")
    metrics = {
        **{f"{name}_bits_per_byte_before": score for name, score in before.items()},
        **{f"{name}_bits_per_byte_after": score for name, score in after.items()},
        "forgotten_bits_per_byte": after[replay] - before[replay],
    }
    return report.model_copy(update={"metrics": {**report.metrics, **metrics}})


def _by_source(model: "PreTrainedModel", shards: Path, settings: Settings, context: StageContext) -> dict[str, float]:
    """Validation bits per byte of each source of the mixture."""
    from forge_dagster.training.precision import thread_limit, threads
    from forge_dagster.training.validation import bits_per_byte

    scores = {}
    with thread_limit(threads()):
        for name in sorted(settings.mixture.sources):
            context.progress(0, settings.steps, f"scoring {name}")
            scores[name] = bits_per_byte(
                model,
                shards,
                most_tokens=settings.validation_tokens,
                source=name,
                window=settings.sequence_length,
            )
    return scores


STAGE = replace(base.STAGE, run=run)
