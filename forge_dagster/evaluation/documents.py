"""The documents as the benchmark sees them: those held out, superseded ones beside the newest, and all others read."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.chance import point
from forge_dagster.corpus.clean_documents import clean_folders, clean_groups
from forge_dagster.corpus.rows import text_bytes
from forge_dagster.evaluation.items.current_fact import Versions
from forge_dagster.evaluation.items.facts import Stated
from forge_dagster.evaluation.passages import Material, Text
from forge_dagster.evaluation.reader import Reader

MOST_READ = 32 << 20  # bytes of training text whose words are counted; of more, a part drawn by hash
MOST_ASKED = 4 << 20  # bytes of held-out text that items are looked for in; of more, a part drawn by hash
HELD_OUT = ("validation", "test")


class Documents(NamedTuple):
    """What items are made of."""

    material: Material
    versions: list[Versions]


def read_split(inputs: Mapping[str, Path]) -> pa.Table:
    """One row a clean document, with the side that its text is on: its own, or its cluster's if it was dropped.

    An erased document is on no side.
    """
    columns = ["id", "source", "path", "cluster", "split", "reason"]
    split = pq.read_table(inputs["document_split"] / "split.parquet", columns=columns)
    kept = split.filter(pc.not_equal(split["split"], ""))
    side_of = dict(zip(kept["id"].to_pylist(), kept["split"].to_pylist(), strict=True))
    sides = [side_of.get(name, "") for name in split["cluster"].to_pylist()]
    return split.append_column("side", pa.array(sides, pa.string()))


def stated_by(split: pa.Table, source: str) -> dict[str, Stated]:
    """The documents of a source by path."""
    sided = split.filter(pc.and_(pc.equal(split["source"], source), pc.not_equal(split["side"], "")))
    rows = sided.select(["path", "id", "side"]).to_pylist()
    return {row["path"]: Stated(row["id"], row["side"]) for row in rows}


def read_documents(inputs: Mapping[str, Path], split: pa.Table, *, seed: int) -> Documents:
    """Read every clean document once."""
    dropped = split.filter(pc.equal(split["reason"], "superseded"))
    newest = dict(zip(dropped["id"].to_pylist(), dropped["cluster"].to_pylist(), strict=True))
    wanted = pa.array({*newest, *newest.values()}, pa.string())
    held_out: list[Text] = []
    version_texts: dict[str, Text] = {}
    size = sum(text_bytes(folder / "documents.parquet") for folder in clean_folders(inputs))
    share = MOST_READ / max(MOST_READ, size)
    apart_size = size * pc.sum(pc.is_in(split["split"], pa.array(HELD_OUT))).as_py() / len(split)
    asked = MOST_ASKED / max(MOST_ASKED, apart_size)

    def trained() -> Iterator[str]:
        done = 0
        for group in clean_groups(inputs, ["id", "language", "text"]):
            rows = split.slice(done, len(group))
            assert rows["id"].equals(group["id"]), "the split has the documents in their order"
            done += len(group)
            apart = _drawn(group.filter(pc.is_in(rows["split"], pa.array(HELD_OUT))), seed, "asked", asked)
            held_out.extend(Text(**row) for row in apart.to_pylist())
            versions = group.filter(pc.is_in(group["id"], wanted))
            version_texts.update({row["id"]: Text(**row) for row in versions.to_pylist()})
            # Not the point that sent a document to its side: that one says which are here.
            yield from _drawn(group.filter(pc.equal(rows["split"], "train")), seed, "read", share)["text"].to_pylist()

    reader = Reader(trained())
    versions = [Versions(version_texts[old], version_texts[new]) for old, new in sorted(newest.items())]
    return Documents(Material(held_out, reader), versions)


def _drawn(group: pa.Table, seed: int, use: str, share: float) -> pa.Table:
    """The documents that a hash draws for a use; texts that nobody asked for are never unpacked."""
    drawn = [point(seed, f"{use}/{name}") < share for name in group["id"].to_pylist()]
    return group.filter(pa.array(drawn, pa.bool_()))
