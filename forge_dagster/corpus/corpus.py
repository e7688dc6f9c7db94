"""The corpus: the training text, decontaminated against the benchmark, and the held-out sides beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.corpus.decontaminate import benchmark_grams, contaminated_by
from forge_dagster.corpus.dispositions import DISPOSITIONS, counts, row
from forge_dagster.corpus.split import clean_rows
from forge_dagster.corpus.suites import judge_corpus
from forge_dagster.errors import DataError
from forge_dagster.stage import NoConfig, Report, Stage, StageContext

TEXTS = pa.schema([(name, pa.string()) for name in ("id", "source", "path", "title", "text")])
SIDES = ("train", "validation", "test")


def run(inputs: Mapping[str, Path], config: NoConfig, out: Path, context: StageContext) -> Report:
    """Write train, validation and test.parquet, and dispositions.parquet. Raises DataError if no text is left."""
    split = pq.read_table(inputs["document_split"] / "split.parquet").to_pylist()
    side_of = {(item["source"], item["path"]): item["split"] for item in split if item["disposition"] == "kept"}
    forbidden = benchmark_grams(inputs["domain_benchmark"])
    texts: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    dispositions: list[dict[str, Any]] = []
    for document in clean_rows(inputs):
        side = side_of.get((document["source"], document["path"]))
        if side is None:
            continue
        task = contaminated_by(document["text"], forbidden) if side == "train" else None
        reason = f"contaminated:{task}" if task else ""
        dispositions.append(row(document["path"], document["id"], "dropped" if task else "kept", reason))
        if task is None:
            texts[side].append({name: document[name] for name in TEXTS.names})
        context.progress(len(dispositions), len(side_of))
    if not texts["train"]:
        raise DataError(
            f"{len(dispositions)} documents, none of them left to train on",
            rule="a corpus has training text",
            mend="add documents, or fewer benchmark items",
        )
    for side in SIDES:
        pq.write_table(pa.Table.from_pylist(texts[side], TEXTS), out / f"{side}.parquet", compression="zstd")
    pq.write_table(pa.Table.from_pylist(dispositions, DISPOSITIONS), out / "dispositions.parquet", compression="zstd")
    sizes = {f"{side}_bytes": sum(len(t["text"].encode()) for t in texts[side]) for side in SIDES}
    return Report(
        counts={
            "rows": len(texts["train"]),
            **counts(dispositions),
            **{side: len(texts[side]) for side in SIDES},
            **sizes,
        }
    )


STAGE = Stage(run=run, check=judge_corpus.check, check_names=judge_corpus.names)
