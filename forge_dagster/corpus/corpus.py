"""The corpus: the training text, decontaminated against the benchmark, and the held-out sides beside it."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.corpus.clean import DOCUMENTS
from forge_dagster.corpus.clean_documents import clean_groups
from forge_dagster.corpus.decontaminate import Forbidden, forbid_benchmark, forbid_items
from forge_dagster.corpus.dispositions import DispositionWriter
from forge_dagster.corpus.rows import RowWriter
from forge_dagster.corpus.split import SIDES
from forge_dagster.corpus.suites import judge_corpus
from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.stage import NoConfig, Report, Stage, StageContext

LABELS = ("owner", "licence", "sensitivity", "legal_basis", "jurisdiction", "retention", "permitted_use", "audience")
TEXTS = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "source", "path", "title", "text", "language", "time")),
        *(DOCUMENTS.field(name) for name in LABELS),
    ]
)


def run(inputs: Mapping[str, Path], config: NoConfig, out: Path, context: StageContext) -> Report:
    """Write train, validation and test.parquet, and dispositions.parquet. Raises DataError if no text is left."""
    split = pq.read_table(inputs["document_split"] / "split.parquet", columns=["id", "path", "split"])
    forbidden = Forbidden()
    forbid_benchmark(forbidden, inputs["domain_benchmark"])
    for name, file in inputs.items():
        if name.startswith("evals/"):
            forbid_items(forbidden, file, file.stem)
    sizes: Counter[str] = Counter()
    done = 0
    with ExitStack() as files:
        texts = {side: files.enter_context(RowWriter(out / f"{side}.parquet", TEXTS)) for side in SIDES}
        dispositions = files.enter_context(DispositionWriter(out / "dispositions.parquet"))
        for documents in clean_groups(inputs, TEXTS.names, ["shingles"]):
            sides = split.slice(done, len(documents))
            assert sides["id"].equals(documents["id"]), "the split has the documents in their order"
            done += len(documents)
            came = documents.append_column("split", sides["split"]).filter(pc.not_equal(sides["split"], ""))
            reasons = _reasons(came, forbidden)
            came = came.append_column("reason", pa.array(reasons, pa.string()))
            kept = pa.array(["dropped" if reason else "kept" for reason in reasons], pa.string())
            dispositions.note(came.append_column("disposition", kept))
            for side in SIDES:
                rows = came.filter(pc.and_(pc.equal(came["split"], side), pc.equal(kept, "kept")))
                texts[side].write(rows)
                sizes[side] += pc.sum(pc.binary_length(rows["text"])).as_py() or 0
            context.progress(done, len(split), "documents")
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


def _reasons(documents: pa.Table, forbidden: Forbidden) -> list[str]:
    """Why each document is not trained on; empty if it is, or is held out."""
    reasons = [""] * len(documents)
    trains = pc.equal(documents["split"], "train").to_numpy()
    texts = documents["text"].combine_chunks()
    for index in np.flatnonzero(trains & forbidden.suspects(documents["shingles"])).tolist():
        if task := forbidden.found_in(texts[index].as_py()):
            reasons[index] = f"contaminated:{task}"
    for index in np.flatnonzero(trains & _refused(documents["permitted_use"].combine_chunks())).tolist():
        reasons[index] = "use-not-permitted"
    return reasons


def _refused(permitted_use: pa.ListArray) -> npt.NDArray[np.bool_]:
    """Whether the terms of each document name its uses, and training is none of them."""
    permitted = np.zeros(len(permitted_use), dtype=bool)
    trains = pc.equal(pc.list_flatten(permitted_use), "training").to_numpy(zero_copy_only=False)
    permitted[pc.list_parent_indices(permitted_use).to_numpy()[trains]] = True
    return np.asarray(permitted_use.is_valid().to_numpy(zero_copy_only=False) & ~permitted)


STAGE = Stage(run=run, check=judge_corpus.check, check_names=judge_corpus.names)
