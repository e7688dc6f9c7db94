"""One document's way through the stages: what each decided, and the text before and after."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.corpus.clean import Parsed
from forge_dagster.corpus.formats import format_of
from forge_dagster.corpus.parse import Parsers
from forge_dagster.corpus.views import fetch
from forge_dagster.errors import UserError
from forge_dagster.source import source_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_NAMED = 5  # of the documents that a name fits
RAW = "raw_documents/"
STAGES = ("raw", "clean", "split", "corpus")


def find(connection: "DuckDBPyConnection", name: str) -> dict[str, Any]:
    """Source, path and id of the one document that an id, its beginning, a path or SOURCE/PATH names. Raises UserError.

    A file that was not read, such as a link, has no id.
    """
    rows = fetch(
        connection,
        "SELECT DISTINCT source, path, id FROM raw_dispositions WHERE path = $1 OR source || '/' || path = $1 "
        "OR (length($1) >= 6 AND starts_with(id, $1)) ORDER BY source, path",
        name,
    )
    if len({row["id"] or row["path"] for row in rows}) != 1:
        named = ", ".join(f"{row['source']}/{row['path']}" for row in rows[:MOST_NAMED]) or "none"
        raise UserError(
            f"{name}: {len(rows)} documents ({named})",
            rule="an id, at least 6 digits of it, a path, or SOURCE/PATH",
            mend="`forge corpus query` finds documents",
        )
    return rows[0]


def journey(connection: "DuckDBPyConnection", document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What each stage decided on a document; a stage it did not reach is not there."""
    place = [document["source"], document["path"]]
    known = {row[0] for row in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
    found = {}
    for stage, view in zip(STAGES, ("raw_dispositions", "clean_dispositions", "document_split"), strict=False):
        if view in known:
            found[stage] = fetch(connection, f'SELECT * FROM "{view}" WHERE source = $1 AND path = $2', *place)
    if "clean_documents" in known and found.get("clean"):
        more = fetch(connection, "SELECT * EXCLUDE (text) FROM clean_documents WHERE source = $1 AND path = $2", *place)
        found["clean"] = [{**found["clean"][0], **row} for row in more] or found["clean"]
    if found.get("split"):
        cluster = found["split"][0]["cluster"]
        alike = "SELECT source || '/' || path AS name FROM document_split WHERE cluster = $1 ORDER BY 1"
        found["split"][0]["alike"] = [row["name"] for row in fetch(connection, alike, cluster)]
    if "corpus_dispositions" in known and found.get("split") and found["split"][0]["disposition"] == "kept":
        decided = "SELECT * FROM corpus_dispositions WHERE path = $1 AND id = $2"
        found["corpus"] = fetch(connection, decided, document["path"], document["id"])
    return {stage: rows[0] for stage, rows in found.items() if rows}


def text_before(contents: Mapping[str, Path], document: dict[str, Any]) -> str:
    """What the parser gives of the document's bytes, or why it gives nothing; `contents` by artifact key."""
    if format_of(document["path"]) is None:
        return ""
    partitions = {key.removeprefix(RAW): folder for key, folder in contents.items() if key.startswith(RAW)}
    folders = [folder for partition, folder in partitions.items() if source_of(partition) == document["source"]]
    for file in (pq.ParquetFile(folder / "documents.parquet") for folder in folders):
        for group in range(file.num_row_groups):
            paths = file.read_row_group(group, columns=["path"])["path"]
            at = pc.index(paths, document["path"]).as_py()
            if at < 0:
                continue
            data = file.read_row_group(group, columns=["bytes"])["bytes"][at].as_py()
            with Parsers(1) as parsers:
                found = parsers.submit({"task": "parse", "path": document["path"]}, data).result().of(Parsed)
            return found if isinstance(found, str) else found.text
    return ""


def text_after(connection: "DuckDBPyConnection", document: dict[str, Any]) -> str:
    """The clean text, if the document was kept."""
    rows = connection.execute(
        "SELECT text FROM clean_documents WHERE source = $1 AND path = $2", [document["source"], document["path"]]
    ).fetchall()
    return rows[0][0] if rows else ""


def difference(before: str, after: str) -> Iterator[str]:
    """Lines that cleaning took out or changed, in unified format."""
    return difflib.unified_diff(before.splitlines(), after.splitlines(), "as parsed", "as trained on", lineterm="", n=1)
