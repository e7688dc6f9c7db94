"""Hop 8: the corpus as memory-mapped token shards, with an index that says which document every token comes from."""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Encoding, Tokenizer

from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.exclusion import Hole, Layout, rest_of
from forge_dagster.provenance.files import sha256_file
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext
from forge_dagster.tokens.control import END_OF_TEXT_ID
from forge_dagster.tokens.encoding import load_encoder

SPLITS = ("train", "validation")
BATCH_BYTES = 4 << 20
"""Text encoded at a time: enough that cores wait little for the last document of a batch."""
ROWS = 256
"""Documents read from Parquet at a time."""
SHARD_TOKENS = 1 << 26
"""Tokens after which a new shard begins: 128 MiB of uint16; a document is never divided between shards."""

INDEX = pa.schema(
    [
        ("document", pa.string()),
        ("split", pa.string()),
        ("source", pa.string()),
        ("shard", pa.string()),
        ("start", pa.int64()),
        ("length", pa.int64()),
        ("bytes", pa.int64()),
    ]
)
"""`start` and `length` count tokens (the closing `<|end_of_text|>` included), `bytes` the UTF-8 bytes of the text: 0 in
the place of an erased document, from which nothing is learnt."""
READ = ("id", "source", "text")
CHECK_NAMES = ("index_covers_shards", "documents_are_closed", "tokens_in_vocabulary")


class ShardsConfig(FrozenModel):
    """The layouts that erasures left; one holds where the documents and the tokenizer are those it was made for."""

    layouts: tuple[Layout, ...] = ()


def run(inputs: Mapping[str, Path], config: ShardsConfig, out: Path, context: StageContext) -> Report:
    """Encode train.parquet and validation.parquet; each document is followed by `<|end_of_text|>`.

    Writes <split>-<nnnnn>.bin (little endian), documents.parquet in reading order, and meta.json. In the place of an
    erased document stand as many `<|end_of_text|>` as it had tokens, so that the order of all others stays.
    Memory does not grow with the corpus. Raises DataError if a split has no document.
    """
    encoder = load_encoder(inputs["tokenizer"])
    holes = _holes(inputs, config)
    vocabulary = encoder.get_vocab_size()
    dtype = np.dtype("<u2") if vocabulary <= 1 << 16 else np.dtype("<u4")
    files = {split: pq.ParquetFile(inputs["corpus"] / f"{split}.parquet") for split in SPLITS}
    total = sum(file.metadata.num_rows for file in files.values())
    meta: dict[str, Any] = {"dtype": dtype.str, "vocab_size": vocabulary, "splits": {}}
    done = 0
    with pq.ParquetWriter(out / "documents.parquet", INDEX, compression="zstd") as index:
        for split, file in files.items():
            writer = _ShardWriter(out, split, dtype)
            empty = deque(holes if split == "train" else ())
            for batch, encoded in _encoded(encoder, file):
                sizes = pc.binary_length(batch.column("text"))
                rows: list[dict[str, Any]] = []
                for document, source, size, encoding in zip(
                    *(column.to_pylist() for column in (batch["id"], batch["source"], sizes)), encoded, strict=True
                ):
                    rows += _places_of(empty, writer)
                    place = writer.add(encoding.ids)
                    rows.append({"document": document, "split": split, "source": source, "bytes": size, **place})
                index.write_table(pa.Table.from_pylist(rows, INDEX))
                done += len(batch)
                context.progress(done, total, f"documents encoded ({split})")
                if context.cancelled():
                    raise InterruptedRun("encoding stopped", mend="run the same command again")
            if rest := _places_of(empty, writer):
                index.write_table(pa.Table.from_pylist(rest, INDEX))
            writer.close()
            if not writer.documents:
                raise DataError(
                    f"the {split} side of the corpus has no document",
                    rule="training and validation each need at least one",
                    mend="add documents to the source",
                )
            meta["splits"][split] = {
                "documents": writer.documents,
                "tokens": writer.tokens,
                "longest": writer.longest,
                "shards": writer.shards,
            }
    (out / "meta.json").write_text(json.dumps(meta, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    counts = {f"{split}_{key}": meta["splits"][split][key] for split in SPLITS for key in ("documents", "tokens")}
    return Report(counts={**counts, "erased": len(holes)})


def _holes(inputs: Mapping[str, Path], config: ShardsConfig) -> tuple[Hole, ...]:
    """The places that stay empty, in order; none unless all that is left is as when the list was signed."""
    if not config.layouts:
        return ()
    tokenizer = sha256_file(inputs["tokenizer"] / "tokenizer.json")
    rest = rest_of(pq.read_table(inputs["corpus"] / "train.parquet", columns=["id"])["id"].to_pylist())
    fitting = [each for each in config.layouts if (each.tokenizer, each.rest) == (tokenizer, rest)]
    return tuple(sorted(fitting[-1].holes, key=lambda hole: hole.number)) if fitting else ()


def _places_of(empty: deque[Hole], writer: "_ShardWriter") -> list[dict[str, Any]]:
    """Rows of the empty places that come next, once they are written."""
    rows: list[dict[str, Any]] = []
    while empty and empty[0].number == writer.documents:
        hole = empty.popleft()
        place = writer.add([END_OF_TEXT_ID] * (hole.length - 1))
        rows.append({"document": hole.document, "split": "train", "source": hole.source, "bytes": 0, **place})
    return rows


def _encoded(encoder: Tokenizer, file: pq.ParquetFile) -> Iterator[tuple[pa.Table, list[Encoding]]]:
    """Batches of documents with their encodings; the next batch is encoded while one is written."""
    with ThreadPoolExecutor(1) as pool:
        waiting = None
        for batch in _batches(file):
            coming = (
                batch,
                pool.submit(encoder.encode_batch_fast, batch.column("text").to_pylist(), add_special_tokens=False),
            )
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = coming
        if waiting is not None:
            yield waiting[0], waiting[1].result()


def _batches(file: pq.ParquetFile) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in file.iter_batches(batch_size=ROWS, columns=list(READ)):
        held.append(batch)
        size += batch.nbytes
        if size >= BATCH_BYTES:
            yield pa.Table.from_batches(held)
            held, size = [], 0
    if held:
        yield pa.Table.from_batches(held)


class _ShardWriter:
    """Appends documents to <split>-<nnnnn>.bin and begins a new file when one is full."""

    def __init__(self, out: Path, split: str, dtype: np.dtype) -> None:
        self.out, self.split, self.dtype = out, split, dtype
        self.shards: list[dict[str, Any]] = []
        self.documents = self.tokens = self.longest = 0
        self._file: Any = None

    def add(self, ids: list[int]) -> dict[str, Any]:
        """Write one document; return its place as shard, start and length."""
        tokens = np.empty(len(ids) + 1, self.dtype)
        tokens[:-1] = ids
        tokens[-1] = END_OF_TEXT_ID
        if self._file is None or self.shards[-1]["tokens"] >= SHARD_TOKENS:
            self.close()
            name = f"{self.split}-{len(self.shards):05d}.bin"
            self._file = (self.out / name).open("wb")
            self.shards.append({"name": name, "tokens": 0})
        shard = self.shards[-1]
        place = {"shard": shard["name"], "start": shard["tokens"], "length": len(tokens)}
        self._file.write(tokens.tobytes())
        shard["tokens"] += len(tokens)
        self.tokens += len(tokens)
        self.documents += 1
        self.longest = max(self.longest, len(tokens))
        return place

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def check(content: Path) -> list[Finding]:
    """Judge shards: the index covers every token once, documents end where it says, ids lie in the vocabulary."""
    meta = json.loads((content / "meta.json").read_text(encoding="utf-8"))
    dtype = np.dtype(meta["dtype"])
    uncovered, open_documents, largest = [], 0, 0
    places = _places(content / "documents.parquet")
    for split in SPLITS:
        for shard in meta["splits"][split]["shards"]:
            tokens = np.memmap(content / shard["name"], dtype=dtype, mode="r")
            starts, lengths = places.get(shard["name"], (np.zeros(0, np.int64), np.zeros(0, np.int64)))
            ends = starts + lengths
            contiguous = len(starts) > 0 and starts[0] == 0 and bool((starts[1:] == ends[:-1]).all())
            if not contiguous or ends[-1] != len(tokens) or len(tokens) != shard["tokens"]:
                uncovered.append(shard["name"])
                continue
            open_documents += int((tokens[ends - 1] != END_OF_TEXT_ID).sum())
            largest = max(largest, int(tokens.max()))
    return [
        Finding(name=CHECK_NAMES[0], passed=not uncovered, observed={"shards": uncovered}),
        Finding(name=CHECK_NAMES[1], passed=not open_documents, observed={"open": open_documents}),
        Finding(
            name=CHECK_NAMES[2],
            passed=largest < meta["vocab_size"],
            observed={"largest": largest, "vocab_size": meta["vocab_size"]},
        ),
    ]


def _places(index: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    places = {}
    for name, rows in _by_shard(pq.read_table(index, columns=["shard", "start", "length"])):
        places[name] = (rows.column("start").to_numpy(), rows.column("length").to_numpy())
    return places


def _by_shard(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    for name in pc.unique(table.column("shard")).to_pylist():
        yield name, table.filter(pc.equal(table.column("shard"), name))


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES)
