"""The continued stage: open weights trained further on the token shards; a share of general text may be replayed."""

import json
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
FORGETTING = "forgetting.json"


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

    before: dict[str, float] = {}

    def begin(vocab_size: int) -> "PreTrainedModel":
        model = starting_model(inputs["weights"], inputs["tokenizer"])
        before.update(_by_source(model, inputs["token_shards"], config.settings, context))
        return model

    report = base.train(inputs, config, out, context, begin)
    after = _by_source(load_model(out), inputs["token_shards"], config.settings, context)
    replay = config.settings.replay
    forgotten = {} if replay is None else {"forgotten_bits_per_byte": after[replay] - before[replay]}
    told = {
        "replay": replay,
        "measure": "validation bits per byte, in windows of sequence_length",
        "sources": {name: {"before": before[name], "after": after[name]} for name in before},
    }
    (out / FORGETTING).write_text(json.dumps(told, indent=1, sort_keys=True), encoding="utf-8")
    metrics = {
        **{f"{name}_bits_per_byte_before": score for name, score in before.items()},
        **{f"{name}_bits_per_byte_after": score for name, score in after.items()},
        **forgotten,
    }
    return report.model_copy(update={"metrics": {**report.metrics, **metrics}})


def _by_source(model: "PreTrainedModel", shards: Path, settings: Settings, context: StageContext) -> dict[str, float]:
    """Validation bits per byte of each source of the mixture; without one, of every source."""
    from forge_dagster.tokens.reader import open_documents
    from forge_dagster.training.precision import thread_limit, threads
    from forge_dagster.training.validation import bits_per_byte

    read = settings.mixture.sources if settings.mixture else open_documents(shards, "validation").sources
    scores = {}
    with thread_limit(threads()):
        for name in sorted(read):
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
