"""Pairs of duplicates that some of the bands propose: the clustering of all documents, a group of bands a step.

The split joins the pairs of all groups, and has the clusters that one step over all bands would have found.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.corpus.clean_documents import clean_folders
from forge_dagster.corpus.duplicates import Digests, alike_from, buckets, clusters_of_pairs, compared
from forge_dagster.corpus.packed import packed
from forge_dagster.corpus.signature import BANDS, Numbers, Shingles, mapped
from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext

PAIRS = pa.schema([("first", pa.string()), ("second", pa.string())])
FILE, TEXTS = "pairs.parquet", "texts.json"


class NearDuplicatesConfig(FrozenModel):
    """Which bands, and how alike is a duplicate."""

    first_band: int = Field(ge=0, lt=BANDS)
    bands: int = Field(ge=1, le=BANDS)
    near_duplicate_jaccard: float = Field(gt=0, le=1)


def band_groups(count: int) -> list[range]:
    """The bands in `count` groups as equal as can be, each with one band at least."""
    edges = np.linspace(0, BANDS, min(max(count, 1), BANDS) + 1).round().astype(int).tolist()
    return [range(first, end) for first, end in pairwise(edges)]


def run(inputs: Mapping[str, Path], config: NearDuplicatesConfig, out: Path, context: StageContext) -> Report:
    """Write pairs.parquet, digests of texts: with each text of a cluster the one that stands for it."""
    folders = clean_folders(inputs)
    digests, bands = _bands(folders, config)
    found = buckets(digests, bands, range(config.bands))
    wanted = np.zeros(len(digests), dtype=bool)
    wanted[found.text_of[found.members]] = True
    shingles = _shingles(folders, wanted, context.work / "shingles")

    def progress(done: int, total: int) -> None:
        context.progress(done, total, f"{len(digests):,} documents")
        if context.cancelled():
            raise InterruptedRun("comparing the documents stopped", mend="run the same command again")

    labels = compared(found, alike_from(shingles, config.near_duplicate_jaccard), progress=progress)
    others = np.flatnonzero(labels != np.arange(len(labels)))
    first, second = (digests[found.text_of[each]].astype(str) for each in (labels[others], others))
    pq.write_table(pa.table([pa.array(first), pa.array(second)], schema=PAIRS), out / FILE, compression="zstd")
    (out / TEXTS).write_text(json.dumps({"texts": len(labels), "sha256": _digest_of(digests[found.text_of])}))
    return Report(counts={"texts": len(labels), "candidates": int(wanted.sum()), "pairs": len(others)})


def clusters_found(inputs: Mapping[str, Path], digests: Digests) -> Numbers | None:
    """Cluster label of each text by the pairs among the inputs; None if there are none.

    Raises DataError if they were found among other texts.
    """
    folders = {name: folder for name, folder in sorted(inputs.items()) if name.startswith("near_duplicates/")}
    if not folders:
        return None
    expected = _digest_of(np.unique(digests))
    for name, folder in folders.items():
        if json.loads((folder / TEXTS).read_bytes())["sha256"] != expected:
            raise DataError(f"{name} is of other documents", rule="all hops read one state", mend="forge run")
    pairs = pa.concat_tables([pq.read_table(folder / FILE) for folder in folders.values()])
    return clusters_of_pairs(digests, *(packed(pairs[name], "S64")[0] for name in PAIRS.names))


def _bands(folders: Sequence[Path], config: NearDuplicatesConfig) -> tuple[Digests, npt.NDArray[np.uint64]]:
    """Digest of each document, and its bands of the group with the one that follows, which orders the buckets."""
    places = np.arange(config.first_band, config.first_band + config.bands + 1) % BANDS
    digests, bands = [np.empty(0, dtype="S64")], [np.empty((0, len(places)), dtype="<u8")]
    for folder in folders:
        file = pq.ParquetFile(folder / "signatures.parquet")
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["digest", "bands"])
            digests.append(packed(table["digest"], "S64")[0])
            bands.append(packed(table["bands"], "<u8")[0].reshape(-1, BANDS)[:, places])
    return np.concatenate(digests), np.concatenate(bands)


def _shingles(folders: Sequence[Path], wanted: npt.NDArray[np.bool_], scratch: Path) -> Shingles:
    """Shingles of the wanted documents; the others have none, and row groups without wanted ones are not read."""
    sizes, at = list[Numbers](), 0
    with scratch.open("wb") as written:
        for folder in folders:
            file = pq.ParquetFile(folder / "signatures.parquet")
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                here = np.flatnonzero(wanted[at : at + rows])
                size = np.zeros(rows, dtype=np.int64)
                if len(here):
                    hashes, size[here] = packed(
                        file.read_row_group(group, columns=["shingles"])["shingles"].take(pa.array(here)), "<u4"
                    )
                    written.write(hashes.data)
                sizes.append(size)
                at += rows
    return mapped(scratch, sizes)


def _digest_of(distinct: Digests) -> str:
    return hashlib.sha256(distinct.tobytes()).hexdigest()


def check(content: Path) -> list[Finding]:
    """Judge the pairs: two texts each, and no text stands for another and is stood for."""
    pairs = pq.read_table(content / FILE)
    first, second = (set(pairs[name].to_pylist()) for name in PAIRS.names)
    return [
        Finding(
            name="each_text_has_one_that_stands_for_it",
            passed=pairs.schema.equals(PAIRS) and not first & second and len(second) == len(pairs),
            observed={"pairs": len(pairs), "chained": len(first & second)},
        )
    ]


STAGE = Stage(run=run, check=check, check_names=("each_text_has_one_that_stands_for_it",))
