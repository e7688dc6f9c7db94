"""The fertility report: bytes a token of a tokenizer, by source and by language, beside a general tokenizer's."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from forge_dagster.stage import StageContext

BATCH = 256
"""Documents in memory at a time."""
GROUPS = ("source", "language")


def fertility(
    encoder: Tokenizer, general: Tokenizer | None, train: Path, context: StageContext
) -> dict[str, dict[str, Any]]:
    """Return `all`, and each value of `source` and `language` -> documents, bytes, tokens, bytes_per_token.

    With `general` also its tokens and bytes a token.
    """
    file = pq.ParquetFile(train)
    groups = [name for name in GROUPS if name in file.schema_arrow.names]
    sums: dict[tuple[str, str], Counter[str]] = {("all", ""): Counter()}
    done = 0
    for batch in file.iter_batches(batch_size=BATCH, columns=[*groups, "text"]):
        texts = batch.column("text").to_pylist()
        counted = {"bytes": pc.binary_length(batch.column("text")).to_pylist(), "tokens": _lengths(encoder, texts)}
        if general is not None:
            counted["general_tokens"] = _lengths(general, texts)
        labels = {group: batch.column(group).to_pylist() for group in groups}
        for number in range(len(texts)):
            row = {"documents": 1, **{name: values[number] for name, values in counted.items()}}
            for key in (("all", ""), *((group, labels[group][number] or "unknown") for group in groups)):
                sums.setdefault(key, Counter()).update(row)
        done += len(texts)
        context.progress(done, file.metadata.num_rows, "documents measured")
    report: dict[str, dict[str, Any]] = {"all": _ratios(sums.pop(("all", "")))}
    for (group, name), row in sorted(sums.items()):
        report.setdefault(group, {})[name] = _ratios(row)
    return report


def metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a report that people look for first."""
    names = ("bytes_per_token", "general_bytes_per_token")
    return {name: report["all"][name] for name in names if name in report["all"]}


def _lengths(encoder: Tokenizer, texts: list[str]) -> list[int]:
    return [len(encoding) for encoding in encoder.encode_batch_fast(texts, add_special_tokens=False)]


def _ratios(row: Counter[str]) -> dict[str, float]:
    figures: dict[str, float] = dict(row)
    for name in ("tokens", "general_tokens"):
        if name in row:
            figures[name.replace("tokens", "bytes_per_token")] = round(row["bytes"] / max(row[name], 1), 4)
    return figures
