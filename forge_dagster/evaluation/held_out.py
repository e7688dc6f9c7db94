"""A measure: bits per byte of held-out documents, each read by the tokenizer of the model that is measured."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from forge_dagster.errors import VerdictError
from forge_dagster.evaluation.measure import Measuring, Subject, Task, item_digests
from forge_dagster.evaluation.score import Metric, Result
from forge_dagster.tokens.control import END_OF_TEXT_ID
from forge_dagster.tokens.encoding import encode_batch, load_encoder
from forge_dagster.training.precision import effective_dtype

if TYPE_CHECKING:
    from forge_dagster.tokens.reader import Documents

METRIC = "bits_per_byte"
ROWS = 256  # documents read at once


def validation(inputs: Mapping[str, Path], config: Measuring, work: Path) -> Sequence[Task]:
    """`validation.bits_per_byte` over the first documents of the corpus's validation side."""
    rows = first_documents(inputs["corpus"] / "validation.parquet", config.validation_bytes)
    return [text_task("validation", rows)]


def text_task(name: str, rows: Sequence[Mapping[str, Any]]) -> Task:
    """`name.bits_per_byte` of documents given as rows with id and text. Raises DataError if there is none."""
    digests = item_digests(name, [{"text": row["text"]} for row in rows], [row["id"] for row in rows])

    def ask(subject: Subject) -> list[Result]:
        from forge_dagster.training.validation import BATCH_TOKENS, document_nats

        documents = encoded([row["text"] for row in rows], subject.folder)
        nats = document_nats(subject.model, documents, batch_tokens=BATCH_TOKENS, dtype=effective_dtype())
        bits = nats / math.log(2) / documents.sizes
        if not np.isfinite(bits).all():
            raise VerdictError(f"{name}.{METRIC} is not a number", rule="a score is a number", mend="train it again")
        return [
            Result(METRIC, item, digest, item, float(value), float(size))
            for (item, digest), value, size in zip(digests.items(), bits, documents.sizes, strict=True)
        ]

    return Task(
        name=name,
        items=digests,
        settings={},
        metrics={METRIC: Metric(better="lower")},
        evaluate=ask,
    )


def encoded(texts: Sequence[str], tokenizer: Path) -> "Documents":
    """Texts as documents of token ids, by the tokenizer of a folder."""
    from forge_dagster.tokens.reader import Documents

    encoder = load_encoder(tokenizer)
    ids = [[*tokens, END_OF_TEXT_ID] for tokens in encode_batch(encoder, texts)]
    lengths = np.array([len(tokens) for tokens in ids], dtype=np.int64)
    return Documents(
        shards=(np.array([token for tokens in ids for token in tokens], dtype=np.int64),),
        shard=np.zeros(len(ids), np.int64),
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
        sizes=np.array([len(text.encode()) for text in texts], dtype=np.int64),
        source=np.zeros(len(ids), np.int64),
        sources=("text",),
        vocab_size=encoder.get_vocab_size(),
    )


def documents_in(path: Path) -> Iterator[dict[str, Any]]:
    """Id, source and text of the documents of one side of a corpus, in its order."""
    for batch in pq.ParquetFile(path).iter_batches(batch_size=ROWS, columns=["id", "source", "text"]):
        yield from batch.to_pylist()


def first_documents(path: Path, most_bytes: int) -> list[dict[str, Any]]:
    """Documents with text, as many whole ones as fit, and at least one."""
    found: list[dict[str, Any]] = []
    left = most_bytes
    for row in documents_in(path):
        left -= len(row["text"].encode())
        if left < 0 and found:
            break
        if row["text"]:
            found.append(row)
    return found
