"""The corpus: the training text, decontaminated against the benchmark, and the held-out sides beside it."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.corpus.clean import DOCUMENTS
from forge_dagster.corpus.clean_documents import clean_rows
from forge_dagster.corpus.decontaminate import benchmark_grams, contaminated_by
from forge_dagster.corpus.dispositions import DispositionWriter
from forge_dagster.corpus.rows import RowWriter
from forge_dagster.corpus.split import SIDES
from forge_dagster.corpus.suites import judge_corpus
from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.stage import NoConfig, Report, Stage, StageContext

LABELS = ("owner", "licence", "sensitivity", "legal_basis", "retention", "permitted_use", "audience")
TEXTS = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "source", "path", "title", "text", "language", "time")),
        *(DOCUMENTS.field(name) for name in LABELS),
    ]
)


def run(inputs: Mapping[str, Path], config: NoConfig, out: Path, context: StageContext) -> Report:
    """Write train, validation and test.parquet, and dispositions.parquet. Raises DataError if no text is left."""
    split = pq.read_table(inputs["document_split"] / "split.parquet").to_pylist()
    side_of = {(item["source"], item["path"]): item["split"] for item in split if item["disposition"] == "kept"}
    forbidden = benchmark_grams(inputs["domain_benchmark"])
    sizes: Counter[str] = Counter()
    with ExitStack() as files:
        texts = {side: files.enter_context(RowWriter(out / f"{side}.parquet", TEXTS)) for side in SIDES}
        dispositions = files.enter_context(DispositionWriter(out / "dispositions.parquet"))
        for document in clean_rows(inputs):
            side = side_of.get((document["source"], document["path"]))
            if side is None:
                continue
            task = contaminated_by(document["text"], forbidden) if side == "train" else None
            if "training" not in (document.get("permitted_use") or ("training",)) and side == "train":
                dispositions.note(document["path"], document["id"], "dropped", "use-not-permitted")
            elif task:
                dispositions.note(document["path"], document["id"], "dropped", f"contaminated:{task}")
            else:
                dispositions.note(document["path"], document["id"], "kept")
                texts[side].add({name: document.get(name) for name in TEXTS.names}, size=len(document["text"]))
                sizes[side] += len(document["text"].encode())
            context.progress(dispositions.rows, len(side_of), "documents")
            if context.cancelled():
                raise InterruptedRun("making the corpus stopped", mend="run the same command again")
    if not texts["train"].rows:
        raise DataError(
            f"{dispositions.rows} documents, none of them left to train on",
            rule="a corpus has training text",
            mend="add documents, or fewer benchmark items",
        )
    return Report(
        counts={
            "rows": texts["train"].rows,
            **dispositions.tally.counts,
            **{side: texts[side].rows for side in SIDES},
            **{f"{side}_bytes": sizes[side] for side in SIDES},
        }
    )


STAGE = Stage(run=run, check=judge_corpus.check, check_names=judge_corpus.names)
