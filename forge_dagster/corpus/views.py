"""DuckDB views over the documents of every stage, read only: what came in, what became of it, what is trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forge_dagster.errors import UserError
from forge_dagster.source import source_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FILES = {
    "raw_documents": ("raw_documents", "documents", ("bytes",)),
    "raw_dispositions": ("raw_documents", "dispositions", ()),
    "clean_documents": ("clean_documents", "documents", ()),
    "clean_dispositions": ("clean_documents", "dispositions", ()),
    "document_split": ("document_split", "split", ()),
    "train": ("corpus", "train", ()),
    "validation": ("corpus", "validation", ()),
    "test": ("corpus", "test", ()),
    "corpus_dispositions": ("corpus", "dispositions", ()),
    "instructions": ("instructions", "rows", ()),
    "policy_items": ("policy_items", "rows", ()),
    "preferences": ("preferences", "rows", ()),
}
"""View -> artifact, file, and columns left out, for they are no text."""


def open_views(contents: Mapping[str, Path]) -> "DuckDBPyConnection":
    """A connection with a view for every file that stands, by the content folder of each artifact key.

    It reads these folders and nothing else: no other file, no network. Raises UserError if nothing was made yet.
    """
    import duckdb

    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    made = 0
    for view, (artifact, name, left_out) in FILES.items():
        parts = []
        for key, folder in sorted(contents.items()):
            file = folder / f"{name}.parquet"
            if key.split("/")[0] == artifact and file.is_file():
                columns = f"* EXCLUDE ({', '.join(left_out)})" if left_out else "*"
                is_unnamed = "/" in key and name == "dispositions"
                source = f"{_quoted(source_of(key.split('/', 1)[1]))} AS source, " if is_unnamed else ""
                parts.append(f"SELECT {source}{columns} FROM read_parquet({_quoted(str(file))})")
        if parts:
            connection.execute(f'CREATE VIEW "{view}" AS {" UNION ALL BY NAME ".join(parts)}')
            made += 1
    if not made:
        raise UserError("no documents were read yet", rule="views are of what was made", mend="run `forge run` first")
    folders = ", ".join(_quoted(str(folder)) for folder in contents.values())
    connection.execute(f"SET allowed_directories = [{folders}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def select(connection: "DuckDBPyConnection", sql: str) -> tuple[list[str], list[tuple[object, ...]]]:
    """Columns and rows of one SELECT. Raises UserError if it is anything else, or cannot be answered."""
    import duckdb

    try:
        kinds = [statement.type for statement in duckdb.extract_statements(sql)]
        if kinds != [duckdb.StatementType.SELECT]:
            raise UserError(f"{sql!r:.80}", rule="one SELECT", mend="the views are read only")
        result = connection.execute(sql)
        return [column[0] for column in result.description or ()], result.fetchall()
    except duckdb.Error as error:
        raise UserError(
            str(error).splitlines()[0], rule="a SELECT over the views", mend="`forge corpus views` lists them"
        ) from error


def fetch(connection: "DuckDBPyConnection", sql: str, *values: object) -> list[dict[str, Any]]:
    """Rows of our own SELECT by column name; `values` stand for $1, $2, ..."""
    result = connection.execute(sql, list(values))
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
