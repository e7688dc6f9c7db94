"""The documents of a release: how often each stage of its training read them, and under what terms."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.corpus.rights import learnt_from
from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.lineage.steps import INDEX, SHARDS, PreTrainings
from forge_dagster.lineage.where_used import PAIRS, TRAINS
from forge_dagster.provenance.incumbent import FORMER

TERMS = ("owner", "licence", "sensitivity", "legal_basis", "jurisdiction", "retention", "permitted_use", "audience")
PLACE = ("id", "source", "path")
PEOPLE = "pairs of people"
"""Stands as the source of files of pairs, which are no documents."""


def sources_of(graph: Graph, index: RowIndex, release: Node) -> pa.Table:
    """A row a training document of the release, and one for each file of pairs that people gave.

    Columns: id, source, path, the terms, and for each checkpoint either `NAME_times` (tokens read for each token the
    document has; 0 if its pre-training never came to it) or `NAME_rows` (rows made of it that NAME learnt from; how
    often a row was read is in the settings of the stage). Raises UserError if an input is no longer in the store.
    """
    table = learnt_from(corpora_of(graph, release), (*PLACE, *TERMS))
    trainings, learnt_in = PreTrainings(graph, index), graph.learnt(release)
    own = {node.key: node for node in learnt_in}  # of several of one key the last went on from the others
    for checkpoint in learnt_in:
        name = checkpoint.key.removesuffix("_checkpoint").rpartition("/")[2]
        name += "" if own[checkpoint.key] == checkpoint else f"@{checkpoint.digest[:12]}"
        if trainings.settings(checkpoint) is not None:
            table = table.append_column(f"{name}_times", _times(graph, trainings, checkpoint, table["id"]))
            continue
        learnt = {above: called for called, above in graph.inputs(checkpoint) if called in TRAINS}
        if learnt:
            table = _with_rows(table, f"{name}_rows", _rows(graph, learnt))
    return table


def corpora_of(graph: Graph, release: Node) -> list[Path]:
    """The corpus of a release, and those that its weights learnt before they were gone on from."""
    former = sorted({(name, node) for name, node in graph.inputs(release) if name.startswith(f"{FORMER}/")})
    return [graph.content(node) for node in (graph.input(release, "corpus"), *(node for _, node in former))]


def by_source(documents: pa.Table) -> list[dict[str, Any]]:
    """Documents, terms and readings of each source: totals of rows, means of times."""
    found = []
    for source in sorted(pc.unique(documents["source"]).to_pylist()):
        rows = documents.filter(pc.equal(documents["source"], source))
        terms = {name: sorted({_said(value) for value in rows[name].to_pylist()}) for name in TERMS}
        times = {name: pc.mean(rows[name]).as_py() for name in rows.column_names if name.endswith("_times")}
        sums = {name: pc.sum(rows[name]).as_py() for name in rows.column_names if name.endswith("_rows")}
        found.append({"source": source, "documents": len(rows), **terms, **times, **sums})
    return found


def _said(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value or "unknown")


def _times(graph: Graph, trainings: PreTrainings, checkpoint: Node, ids: pa.ChunkedArray) -> pa.Array:
    shards = graph.content(graph.input(checkpoint, SHARDS))
    index = pq.read_table(shards / INDEX, columns=["document", "split", "length"])
    index = index.filter(pc.equal(index["split"], "train"))
    times = trainings.read(checkpoint) / index["length"].to_numpy()
    places = pc.index_in(ids.combine_chunks(), value_set=index["document"].combine_chunks())
    found = np.where(places.is_valid(), times[places.fill_null(0)], 0.0)
    return pa.array(found)


def _rows(graph: Graph, learnt: dict[Node, str]) -> Counter[str]:
    """Rows that train, by document id."""
    counts: Counter[str] = Counter()
    for node, name in learnt.items():
        how = PAIRS[name]
        has_sides = "split" in how.told
        table = pq.read_table(graph.content(node) / how.file, columns=[how.column, *(["split"] if has_sides else [])])
        if has_sides:
            table = table.filter(pc.not_equal(table["split"], "held_out"))
        for ids in table[how.column].to_pylist():
            counts.update(set(ids))
    return counts


def _with_rows(table: pa.Table, name: str, counts: Counter[str]) -> pa.Table:
    """The counts as a column; ids that are no document's are files of pairs, and get a row of their own."""
    known = set(table["id"].to_pylist())
    given = sorted(set(counts) - known)
    if given:
        more = pa.table({"id": given, "source": [PEOPLE] * len(given), "path": [""] * len(given)})
        table = pa.concat_tables([table, more], promote_options="default")
    return table.append_column(name, pa.array([counts[id_] for id_ in table["id"].to_pylist()], pa.int64()))
