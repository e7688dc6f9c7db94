"""What a training reads, and when: computed from its settings and the shards, so it is never logged."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.errors import UserError
from forge_dagster.tokens.mixture import ReadingOrder, reading_order, realised
from forge_dagster.tokens.reader import Documents, open_documents
from forge_dagster.tokens.replay import new_share, realised_replay, replaying_order
from forge_dagster.training.settings import Settings


def order_of(documents: Documents, settings: Settings, seed: int) -> ReadingOrder:
    """The order in which a training reads. Raises DataError if the documents do not support mixture or replay."""
    if settings.going_on is not None:
        share = share_of_new(documents, settings)
        return replaying_order(
            documents, share, seed=seed, sequence_length=settings.sequence_length, rows=settings.rows
        )
    return reading_order(
        documents,
        settings.mixture,
        seed=seed,
        sequence_length=settings.sequence_length,
        rows=settings.rows,
        steps=settings.steps,
    )


def share_of_new(documents: Documents, settings: Settings) -> Fraction:
    """Share of new documents in a training that goes on."""
    how = settings.going_on
    assert how is not None, "it goes on"
    tokens = settings.steps * settings.batch_tokens
    return new_share(documents, replay=how.share, epochs=how.epochs, tokens=tokens)


def shares_of(order: ReadingOrder, documents: Documents, settings: Settings) -> dict[str, Any]:
    """Declared and realised share of each source, and of replayed documents where a training goes on."""
    rows = settings.steps * settings.rows
    if settings.going_on is None:
        return realised(order, documents, settings.mixture, rows)
    return realised_replay(order, documents, share_of_new(documents, settings), rows)


def documents_of_step(
    shards: Path, settings: Settings, seed: int, step: int, before: Path | None = None
) -> list[dict[str, Any]]:
    """What step `step` (from 0) reads: a row each for row, source, document id, first token and tokens, and whether
    the document was erased, so that nothing is learnt in its place.

    `before`: the shards of what the training went on from.

    Raises UserError if the training has no such step.
    """
    if not 0 <= step < settings.steps:
        raise UserError(f"step {step}", rule=f"this training has the steps 0 to {settings.steps - 1}")
    documents = open_documents(shards, "train", before)
    index = pq.read_table(shards / "documents.parquet", columns=["document", "split"])
    names = index.filter(pc.equal(index["split"], "train"))["document"]
    return [
        {
            "row": number,
            "source": documents.sources[documents.source[span.document]],
            "document": names[span.document].as_py(),
            "start": span.start,
            "tokens": span.length,
            "erased": not documents.sizes[span.document],
        }
        for number, row in enumerate(order_of(documents, settings, seed).batch(step))
        for span in row
    ]
