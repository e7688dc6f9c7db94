"""How often each stage of a training read each document of a release: added to the documents of its bundle."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.lineage.sources_of import PEOPLE, sources_of

TIMES, ROWS = "_times", "_rows"


def add_use(graph: Graph, index: RowIndex, release: Node, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put `read` into the rows of documents: by stage, times that its tokens were read, or rows that came of it.

    Returns `stages` (what each counts), `former` (documents that the weights learnt from before they were gone on from,
    and that are no longer in the corpus) and `given` (rows of files of pairs that people brought, by digest of the
    file). Raises UserError if an input of the release is no longer in the store.
    """
    table = sources_of(graph, index, release)
    columns = [name for name in table.column_names if name.endswith((TIMES, ROWS))]
    read = {
        row["id"]: {name: round(row[name], 6) for name in columns if row[name]}
        for row in table.select(["id", *columns]).to_pylist()
    }
    for row in rows:
        if row.get("split") == "train":
            row["read"] = read.pop(row["id"], {})
    left = table.filter(pc.is_in(table["id"], value_set=pa.array(list(read), pa.string())))
    former = [
        {**row, "read": read.pop(row["id"])}
        for row in left.select(["id", "source", "path", "licence"]).to_pylist()
        if row["source"] != PEOPLE
    ]
    stages = {name: "times" if name.endswith(TIMES) else "rows" for name in columns}
    return {"stages": stages, "former": former, "given": read}
