"""Bits per byte on the validation shard: a loss that does not depend on the tokenizer."""

import math
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from transformers import PreTrainedModel

from forge_dagster.errors import DataError
from forge_dagster.tokens.order import Span
from forge_dagster.tokens.reader import Documents
from forge_dagster.training.batches import IGNORED, pack
from forge_dagster.training.loss import token_cross_entropy
from forge_dagster.training.precision import Dtype, autocast

BATCH_TOKENS = 8192
INTERIM_TOKENS = 16_384
"""Most validation tokens scored while a training runs."""


class Scored(NamedTuple):
    """What some text costs: the sum of -log p over its tokens, and its UTF-8 bytes."""

    nats: float
    size: int

    @property
    def bits_per_byte(self) -> float:
        return self.nats / math.log(2) / self.size


def score_sources(
    model: PreTrainedModel,
    documents: Documents,
    *,
    most_tokens: int,
    dtype: Dtype,
    window: int,
    names: Collection[str] | None = None,
) -> dict[str, Scored]:
    """Score the first documents of each source of `names` (all if not given): up to an equal part of `most_tokens`
    each and at least one document. Raises DataError if one of them has none.
    """
    names = documents.sources if names is None else names
    scores = {}
    for name in names:
        numbers = documents.of_source(name)
        if not len(numbers):
            raise DataError(
                f"source {name} has no validation document",
                rule="what a model knows of a source is measured on documents it was not trained on",
                mend="add documents to the source",
            )
        fits = int((documents.lengths[numbers].cumsum() <= most_tokens // len(names)).sum())
        chosen = documents.only(numbers[: max(fits, 1)])
        scores[name] = score(model, chosen, batch_tokens=BATCH_TOKENS, dtype=dtype, window=window)
    return scores


def together(scores: Iterable[Scored]) -> Scored:
    """Add scores up."""
    nats, sizes = zip(*scores, strict=True)
    return Scored(sum(nats), sum(sizes))


def score(
    model: PreTrainedModel, documents: Documents, *, batch_tokens: int, dtype: Dtype, window: int | None = None
) -> Scored:
    """Score documents together, as `document_nats` does each."""
    nats = document_nats(model, documents, batch_tokens=batch_tokens, dtype=dtype, window=window)
    return Scored(float(nats.sum()), int(documents.sizes.sum()))


def document_nats(
    model: PreTrainedModel, documents: Documents, *, batch_tokens: int, dtype: Dtype, window: int | None = None
) -> np.ndarray:
    """Return the sum of -log p over each document's tokens, float64: read from `<|end_of_text|>` to the next.

    They are cut into windows of `window` tokens (the model's max_position_embeddings if not given) that do not see
    each other.
    """
    length, device = window or model.config.max_position_embeddings, model.device
    was_training = model.training
    model.eval()
    nats = np.zeros(len(documents.lengths))
    with torch.inference_mode():
        for rows in _batches(documents, length, max(batch_tokens // length, 1)):
            batch = pack(documents, rows, length)
            with autocast(dtype, device.type):
                output = model.base_model(
                    input_ids=batch.inputs.to(device), position_ids=batch.positions.to(device), use_cache=False
                )
            scored = (batch.labels != IGNORED).to(device)
            hidden, head = output.last_hidden_state[scored], model.get_output_embeddings().weight
            labels = batch.labels.to(device)[scored]
            losses = token_cross_entropy(hidden, head, labels, getattr(torch, dtype)).double().cpu().numpy()
            spans = [span for row in rows for span in row]
            owners = np.repeat([span.document for span in spans], [span.length for span in spans])
            nats += np.bincount(owners, weights=losses, minlength=len(nats))
    model.train(was_training)
    return nats


def _batches(documents: Documents, length: int, rows: int) -> Iterator[list[list[Span]]]:
    """Cut documents into windows of `length` tokens, first fit into rows in order, `rows` rows at a time."""
    filled: list[list[Span]] = [[]]
    room = length
    for document in range(len(documents.lengths)):
        for start in range(0, int(documents.lengths[document]), length):
            size = min(length, int(documents.lengths[document]) - start)
            if size > room:
                if len(filled) == rows:
                    yield filled
                    filled = []
                filled.append([])
                room = length
            filled[-1].append(Span(document, start, size))
            room -= size
    yield filled
