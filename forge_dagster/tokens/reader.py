"""Reads token shards: one split as a list of documents, memory-mapped."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.errors import IntegrityError
from forge_dagster.tokens.control import END_OF_TEXT_ID


@dataclass(frozen=True, eq=False)
class Documents:
    """The documents of one split, in the order of the index; document i has `lengths[i]` tokens.

    A document's length includes its closing `<|end_of_text|>`, `sizes[i]` is its text in UTF-8 bytes: 0 if it was
    erased and its place alone is left.
    """

    shards: tuple[np.ndarray, ...]
    shard: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    sizes: np.ndarray
    source: np.ndarray
    """Of each document the number of its source in `sources`."""
    sources: tuple[str, ...]
    vocab_size: int
    seen: np.ndarray | None = None
    """Whether a document is one that a training goes on from; None where it begins from nothing."""

    @property
    def tokens(self) -> int:
        return int(self.lengths.sum())

    @property
    def longest(self) -> int:
        return int(self.lengths.max())

    def of_source(self, name: str) -> np.ndarray:
        """Numbers of the documents of one source; none if it has no document here."""
        if name not in self.sources:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self.source == self.sources.index(name))

    def only(self, numbers: np.ndarray) -> "Documents":
        """These documents alone, in their order."""
        parts = {name: getattr(self, name)[numbers] for name in ("shard", "starts", "lengths", "sizes", "source")}
        return replace(self, **parts, seen=None if self.seen is None else self.seen[numbers])

    def window(self, document: int, start: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (inputs, labels), each [length]: labels are tokens start .. start+length of the document.

        An input is the token before its label; `<|end_of_text|>` stands before the first token of a document,
        so every token of the shard is predicted, the closing `<|end_of_text|>` included.
        """
        first = int(self.starts[document]) + start
        tokens = self.shards[self.shard[document]]
        labels = tokens[first : first + length].astype(np.int64)
        inputs = np.empty_like(labels)
        inputs[0] = tokens[first - 1] if start else END_OF_TEXT_ID
        inputs[1:] = labels[:-1]
        return inputs, labels


def open_documents(folder: Path, split: str, before: Path | None = None) -> Documents:
    """Map one split of token shards; `before` are those that a training goes on from.

    Raises IntegrityError if a shard is missing, shorter or longer than stated.
    """
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    dtype = np.dtype(meta["dtype"])
    names = [shard["name"] for shard in meta["splits"][split]["shards"]]
    for shard in meta["splits"][split]["shards"]:
        path = folder / shard["name"]
        size = path.stat().st_size if path.is_file() else 0
        if size != shard["tokens"] * dtype.itemsize:
            raise IntegrityError(
                f"{path.name} has {size} bytes, its record says {shard['tokens'] * dtype.itemsize}",
                mend="make the token shards again",
            )
    columns = ["document", "split", "source", "shard", "start", "length", "bytes"]
    index = pq.read_table(folder / "documents.parquet", columns=columns)
    index = index.filter(pc.equal(index.column("split"), split))
    sources = sorted(pc.unique(index.column("source")).to_pylist())
    return Documents(
        shards=tuple(np.memmap(folder / name, dtype=dtype, mode="r") for name in names),
        shard=pc.index_in(index.column("shard"), value_set=pa.array(names)).to_numpy(),
        starts=index.column("start").to_numpy(),
        lengths=index.column("length").to_numpy(),
        sizes=index.column("bytes").to_numpy(),
        source=pc.index_in(index.column("source"), value_set=pa.array(sources, pa.string())).to_numpy(),
        sources=tuple(sources),
        vocab_size=meta["vocab_size"],
        seen=None if before is None else pc.is_in(index.column("document"), value_set=trained_on(before)).to_numpy(),
    )


def trained_on(shards: Path) -> pa.Array:
    """Ids of the training documents of token shards."""
    index = pq.read_table(shards / "documents.parquet", columns=["document", "split"])
    return index.filter(pc.equal(index.column("split"), "train")).column("document").combine_chunks()
