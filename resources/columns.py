"""Columns of the document tables, and which column of the table before each comes from."""

from typing import Any

import dagster as dg
import pyarrow as pa

from forge_dagster.corpus import clean, corpus, snapshot

TEXT = ("title", "text", "language", "time", "format", "redactions", "furniture_lines", "quality")
"""Columns of clean documents that are made of a document's bytes."""
CARRIED = ("id", "source", "path")


def columns_of(key: str) -> dict[str, Any]:
    """Schema and lineage of the table behind an artifact key; nothing where columns are no copies of columns."""
    asset = key.partition("/")[0]
    if asset == "raw_documents":
        return _metadata(snapshot.DOCUMENTS, {})
    if asset == "clean_documents":
        made = dict.fromkeys(TEXT, "bytes") | {name: name for name in CARRIED}
        return _metadata(clean.DOCUMENTS, {name: ("raw_documents", column) for name, column in made.items()})
    if asset == "corpus":
        return _metadata(corpus.TEXTS, {name: ("clean_documents", name) for name in corpus.TEXTS.names})
    return {}


def _metadata(schema: pa.Schema, origin: dict[str, tuple[str, str]]) -> dict[str, Any]:
    columns = dg.TableSchema([dg.TableColumn(field.name, str(field.type)) for field in schema])
    deps = {name: [dg.TableColumnDep(dg.AssetKey([asset]), column)] for name, (asset, column) in origin.items()}
    lineage = {"dagster/column_lineage": dg.TableColumnLineage(deps)} if deps else {}
    return {"dagster/column_schema": columns, **lineage}
