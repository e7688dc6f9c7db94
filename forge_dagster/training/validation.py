"""Bits per byte on the validation shard: a loss that does not depend on the tokenizer."""

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import PreTrainedModel

from forge_dagster.errors import DataError
from forge_dagster.tokens.order import Span
from forge_dagster.tokens.reader import Documents, open_documents
from forge_dagster.training.batches import IGNORED, pack
from forge_dagster.training.loss import head_cross_entropy
from forge_dagster.training.precision import Dtype, autocast, effective_dtype


def bits_per_byte(
    model: PreTrainedModel,
    shards: Path,
    *,
    batch_tokens: int = 8192,
    most_tokens: int | None = None,
    dtype: Dtype | None = None,
    source: str | None = None,
    window: int | None = None,
) -> float:
    """Return the sum of -log2 p over all validation tokens, divided by the UTF-8 bytes of their text.

    Documents are read whole, from `<|end_of_text|>` to `<|end_of_text|>`, in windows of `window` tokens (the model's
    max_position_embeddings if not given) that do not see each other. `most_tokens` stops before the document that
    would pass it, `source` reads one source alone. Raises DataError if the first document alone does, or if there is
    none.
    """
    documents = open_documents(shards, "validation")
    if source is not None:
        documents = documents.only(documents.of_source(source))
    if not len(documents.lengths):
        raise DataError(
            f"source {source} has no validation document",
            rule="what a model forgets is measured on documents it was not trained on",
            mend="add documents to the source",
        )
    length = window or model.config.max_position_embeddings
    count = _documents_within(documents, most_tokens)
    dtype = dtype or effective_dtype()
    was_training = model.training
    model.eval()
    nats = 0.0
    with torch.inference_mode():
        for rows in _batches(documents, count, length, max(batch_tokens // length, 1)):
            batch = pack(documents, rows, length)
            with autocast(dtype):
                output = model.base_model(input_ids=batch.inputs, position_ids=batch.positions, use_cache=False)
            scored = batch.labels != IGNORED
            hidden, head = output.last_hidden_state[scored], model.get_output_embeddings().weight
            nats += float(head_cross_entropy(hidden, head, batch.labels[scored], getattr(torch, dtype)))
    model.train(was_training)
    return nats / math.log(2) / int(documents.sizes[:count].sum())


def _documents_within(documents: Documents, most_tokens: int | None) -> int:
    if most_tokens is None:
        return len(documents.lengths)
    count = int((documents.lengths.cumsum() <= most_tokens).sum())
    if not count:
        raise DataError(
            f"the first validation document has {documents.lengths[0]} tokens, the limit is {most_tokens}",
            rule="a document is scored whole or not at all",
            mend="raise validation_tokens",
        )
    return count


def _batches(documents: Documents, count: int, length: int, rows: int) -> Iterator[list[list[Span]]]:
    """Cut documents into windows of `length` tokens, first fit into rows in order, `rows` rows at a time."""
    filled: list[list[Span]] = [[]]
    room = length
    for document in range(count):
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
