"""The reading order of a training that goes on: documents that are new to the model, and replayed ones.

Without replay a model forgets what the new documents do not repeat (Ibrahim et al. 2024, Simple and Scalable Strategies
to Continually Pre-train Large Language Models). The replayed documents are those of today's corpus that the model was
trained on before: what was taken out of the sources since is not read again.
"""

from fractions import Fraction
from typing import Any

import numpy as np

from forge_dagster.errors import DataError
from forge_dagster.tokens.mixture import REPLAYED, TOLERANCE, MixedOrder, ReadingOrder
from forge_dagster.tokens.order import Order
from forge_dagster.tokens.reader import Documents

ROWS_APART = 3
"""Rows by which a short training may miss a share: its points are even within about the logarithm of their number."""


def new_share(documents: Documents, *, replay: float, epochs: float, tokens: int) -> Fraction:
    """Share of `tokens` that new documents get: what replay leaves, and no more than `epochs` of them."""
    assert documents.seen is not None, "it is known what the model was trained on"
    new = int(documents.lengths[~documents.seen].sum())
    return min(1 - Fraction(replay), Fraction(epochs) * new / tokens)


def replaying_order(
    documents: Documents, share: Fraction, *, seed: int, sequence_length: int, rows: int
) -> ReadingOrder:
    """The order with `share` of the rows of new documents; the others are of replayed ones.

    Raises DataError if no document is left to replay.
    """
    assert documents.seen is not None, "it is known what the model was trained on"
    if not documents.seen.any():
        raise DataError(
            "none of the documents that the model was trained on is in the corpus any more",
            rule="a model that goes on is replayed some of them, so that it does not forget",
            mend="train from scratch: set `method: full` in the retraining policy, or forge run --full",
        )
    parts = [(share, np.flatnonzero(~documents.seen)), (1 - share, np.flatnonzero(documents.seen))]
    read = [(part, members) for part, members in parts if part]
    return MixedOrder(
        seed=seed,
        shares=tuple(part for part, _ in read),
        members=tuple(members for _, members in read),
        orders=tuple(Order(seed, documents.lengths[members], sequence_length, rows) for _, members in read),
        rows=rows,
        documents=len(documents.lengths),
    )


def realised_replay(order: ReadingOrder, documents: Documents, share: Fraction, rows: int) -> dict[str, Any]:
    """Declared and realised shares of the replayed documents, and of each source, in the first `rows` rows."""
    assert documents.seen is not None, "it is known what the model was trained on"
    read, lengths, seen = order.read(rows), documents.lengths, documents.seen
    due = np.zeros(len(lengths))
    for which, part in ((seen, float(1 - share)), (~seen, float(share))):
        due[which] = lengths[which] * part / max(int(lengths[which].sum()), 1)
    total, count = int(read.sum()), len(documents.sources)
    by_source = (np.bincount(documents.source, weights=each, minlength=count) for each in (due, read))
    return {
        "declared_in_recipe": False,
        "sources": {
            name: {"declared": round(wanted, 6), "realised": round(got / total, 6), "tokens": int(got)}
            for name, wanted, got in zip(documents.sources, *by_source, strict=True)
        },
        REPLAYED: {
            "declared": round(float(1 - share), 6),
            "realised": round(int(read[seen].sum()) / total, 6),
            "tolerance": max(TOLERANCE, ROWS_APART / rows),
            "tokens": int(read[seen].sum()),
            "documents": int(seen.sum()),
            "new_documents": int((~seen).sum()),
        },
    }
