"""Rows of a query as documents, read through DuckDB from SQLite or PostgreSQL, read only."""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field

from forge_dagster.corpus.entry import Entry, Known, digest, kept, nothing_known
from forge_dagster.errors import SourceError
from forge_dagster.source import WHOLE, Shard
from forge_dagster.stage import FrozenModel

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

AT_ONCE = 256  # rows fetched from the database
SCHEMA = "source"  # name the database is attached by


class Settings(FrozenModel):
    """Which rows, and what of them is the document."""

    query: str = Field(description="SELECT; its tables are those of the database")
    id: str = Field(description="column that names a document; the document's path is made of it")
    text: str | None = Field(default=None, description="column with the text; without it the row is a JSON document")
    extension: str = Field(default="md", pattern="^[a-z0-9]+$", description="format of the text column")


def entries(location: str, settings: Settings, known: Known = nothing_known, shard: Shard = WHOLE) -> Iterator[Entry]:
    """A document a row of the shard, in the order of ids. Raises SourceError if the database or the query fails."""
    import duckdb

    try:
        with _attached(location) as connection:
            # DuckDB orders by bytes, not by the database's collation: two databases give one order.
            ordered = f'SELECT * FROM ({_select(settings.query)}) ORDER BY CAST("{settings.id}" AS VARCHAR)'
            rows = connection.execute(ordered)
            names = [column[0] for column in rows.description or ()]
            previous = None
            while batch := rows.fetchmany(AT_ONCE):
                for values in batch:
                    row = dict(zip(names, values, strict=True))
                    path = f"{row[settings.id]}.{settings.extension if settings.text else 'json'}"
                    if shard.has(path):
                        yield _entry(path, row, settings, is_repeated=path == previous)
                    previous = path
    except duckdb.Error as error:
        raise SourceError(
            f"{location}: {str(error).splitlines()[0]}",
            rule="a database and a query that can be read",
            mend="correct `location` or `settings.query`; a password comes from PGPASSWORD or ~/.pgpass",
        ) from error


def _select(query: str) -> str:
    """The query, if it is one SELECT. Raises SourceError."""
    import duckdb

    statements = duckdb.extract_statements(query)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise SourceError(f"settings.query = {query!r:.80}", rule="one SELECT", mend="correct the query")
    return statements[0].query.rstrip().rstrip(";")


def _entry(path: str, row: dict[str, Any], settings: Settings, *, is_repeated: bool) -> Entry:
    if is_repeated:
        return Entry(path, "quarantined", "id-not-unique")
    if settings.text is None:
        return kept(path, json.dumps(row, default=str, ensure_ascii=False, sort_keys=True).encode())
    value = row[settings.text]
    if value is None:
        return Entry(path, "dropped", "no-text")
    return kept(path, value if isinstance(value, bytes) else str(value).encode())


def watermark(location: str, settings: Settings) -> str:
    """The rows' content: a database tells no cheaper sign of change that holds for every query."""
    return digest(entries(location, settings))


def _attached(location: str) -> "DuckDBPyConnection":
    """A connection that reads the database and nothing else: no file, no network, no extension beyond its own."""
    import duckdb

    is_postgres = location.startswith(("postgresql://", "postgres://"))
    if is_postgres and urlsplit(location).password:
        raise SourceError(
            f"{urlsplit(location).scheme}://...: a password in `location`",
            rule="secrets are never in a source file",
            mend="set PGPASSWORD or ~/.pgpass",
        )
    if not is_postgres and not Path(location).is_file():
        raise SourceError(f"{location}: no such file", rule="a SQLite file or postgresql://", mend="correct `location`")
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    connection.execute(f"LOAD '{_extension('postgres_scanner' if is_postgres else 'sqlite_scanner')}'")
    quoted = location.replace("'", "''")
    connection.execute(f"ATTACH '{quoted}' AS {SCHEMA} (TYPE {'postgres' if is_postgres else 'sqlite'}, READ_ONLY)")
    connection.execute(f"USE {SCHEMA}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _extension(name: str) -> Path:
    """The signed DuckDB extension that a wheel brings."""
    folder = files(f"duckdb_extension_{name}") / "extensions"
    return next(Path(str(folder)).rglob(f"{name}.duckdb_extension"))
