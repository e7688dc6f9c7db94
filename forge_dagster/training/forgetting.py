"""What a training that goes on from a model learns of each source, and what it forgets: measured before and after."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from forge_dagster.stage import StageContext
from forge_dagster.tokens.reader import open_documents
from forge_dagster.training.precision import effective_dtype, thread_limit, threads
from forge_dagster.training.settings import Settings
from forge_dagster.training.validation import score_sources, together

FORGETTING = "forgetting.json"


def by_source(
    model: PreTrainedModel,
    shards: Path,
    settings: Settings,
    context: StageContext,
    names: Collection[str] | None = None,
) -> dict[str, float]:
    """Validation bits per byte of each source of `names`; without them, of every source."""
    return {name: scored.bits_per_byte for name, scored in _scores(model, shards, settings, context, names).items()}


def altogether(model: PreTrainedModel, shards: Path, settings: Settings, context: StageContext) -> float:
    """Validation bits per byte of all sources together."""
    return together(_scores(model, shards, settings, context, None).values()).bits_per_byte


def _scores(
    model: PreTrainedModel, shards: Path, settings: Settings, context: StageContext, names: Collection[str] | None
) -> Any:
    context.progress(0, settings.steps, "scoring each source")
    with thread_limit(threads()):
        return score_sources(
            model,
            open_documents(shards, "validation"),
            most_tokens=settings.validation_tokens,
            dtype=effective_dtype(),
            window=settings.sequence_length,
            names=None if names is None else sorted(names),
        )


def write_forgetting(
    out: Path,
    before: Mapping[str, float],
    after: Mapping[str, float],
    forgotten: float | None,
    more: Mapping[str, Any],
) -> dict[str, float]:
    """Write forgetting.json and return the same as metrics. `forgotten`: bits per byte that older text costs more."""
    told = {
        **more,
        "measure": "validation bits per byte, in windows of sequence_length",
        "sources": {name: {"before": before[name], "after": after[name]} for name in before},
    }
    (out / FORGETTING).write_text(json.dumps(told, indent=1, sort_keys=True), encoding="utf-8")
    return {
        **{f"{name}_bits_per_byte_before": score for name, score in before.items()},
        **{f"{name}_bits_per_byte_after": score for name, score in after.items()},
        **({} if forgotten is None else {"forgotten_bits_per_byte": forgotten}),
    }
