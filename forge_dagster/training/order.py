"""What a training reads, and when: computed from its settings and the shards, so it is never logged."""

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.errors import UserError
from forge_dagster.tokens.mixture import ReadingOrder, reading_order
from forge_dagster.tokens.reader import Documents, open_documents
from forge_dagster.training.settings import Settings


def order_of(documents: Documents, settings: Settings, seed: int) -> ReadingOrder:
    """The order in which a training reads. Raises DataError if the documents do not support the mixture."""
    return reading_order(
        documents,
        settings.mixture,
        seed=seed,
        sequence_length=settings.sequence_length,
        rows=settings.rows,
        steps=settings.steps,
    )


def documents_of_step(shards: Path, settings: Settings, seed: int, step: int) -> list[dict[str, Any]]:
    """What step `step` (from 0) reads: a row each for row, source, document id, first token and tokens.

    Raises UserError if the training has no such step.
    """
    if not 0 <= step < settings.steps:
        raise UserError(f"step {step}", rule=f"this training has the steps 0 to {settings.steps - 1}")
    documents = open_documents(shards, "train")
    index = pq.read_table(shards / "documents.parquet", columns=["document", "split"])
    names = index.filter(pc.equal(index["split"], "train"))["document"]
    return [
        {
            "row": number,
            "source": documents.sources[documents.source[span.document]],
            "document": names[span.document].as_py(),
            "start": span.start,
            "tokens": span.length,
        }
        for number, row in enumerate(order_of(documents, settings, seed).batch(step))
        for span in row
    ]
