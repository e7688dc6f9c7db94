"""Views answer SELECTs over every stage, and reach nothing else; a document's way is told from them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from forge_dagster.corpus.journey import difference, find, journey, text_after, text_before
from forge_dagster.corpus.views import open_views, select
from forge_dagster.errors import UserError


@pytest.fixture
def contents(raw: Path, cleaned: Path, divided: Path) -> dict[str, Path]:
    return {"raw_documents/notes": raw, "clean_documents/notes": cleaned, "document_split": divided}


@pytest.fixture
def connection(contents: dict[str, Path]) -> Iterator:
    with open_views(contents) as opened:
        yield opened


def test_views_are_joined_by_source_and_path(connection):
    columns, rows = select(
        connection,
        "SELECT r.disposition, c.disposition, c.reason, s.split FROM raw_dispositions r "
        "LEFT JOIN clean_dispositions c USING (source, path) LEFT JOIN document_split s USING (source, path) "
        "WHERE path IN ('link.txt', 'short.txt', 'note-03.txt') ORDER BY path",
    )
    assert columns == ["disposition", "disposition", "reason", "split"]
    assert rows == [("dropped", None, None, None), ("kept", "kept", "", ""), ("kept", "dropped", "too-short", None)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2",
        "DROP VIEW document_split",
        "COPY (SELECT 1) TO 'stolen.csv'",
        "ATTACH 'other.db'",
        "SET enable_external_access = true",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM nowhere",
        "SELECT",
    ],
)
def test_whatever_is_no_select_over_the_views_is_refused(connection, sql: str, tmp_path: Path):
    with pytest.raises(UserError):
        select(connection, sql)
    assert not list(tmp_path.glob("**/stolen.csv"))


def test_there_are_no_views_of_nothing():
    with pytest.raises(UserError, match="forge run"):
        open_views({})


def test_the_way_of_a_kept_document(connection, contents: dict[str, Path]):
    document = find(connection, "notes/page.html")
    assert find(connection, document["id"][:10]) == find(connection, "page.html") == document
    way = journey(connection, document)
    assert {stage: decided["disposition"] for stage, decided in way.items()} == dict.fromkeys(
        ("raw", "clean", "split"), "kept"
    )
    assert way["clean"]["language"] == "en"
    assert way["split"]["alike"] == ["notes/page.html"]
    assert text_before(contents, document).startswith("# Page")
    assert "menu" not in text_after(connection, document)


def test_the_way_ends_where_the_document_left(connection, contents: dict[str, Path]):
    short = journey(connection, find(connection, "short.txt"))
    assert list(short) == ["raw", "clean"]
    assert short["clean"]["reason"] == "too-short"
    assert list(journey(connection, find(connection, "link.txt"))) == ["raw"]
    near = journey(connection, find(connection, "sub/near-3.md"))["split"]
    assert near["alike"] == ["notes/note-03.txt", "notes/sub/copy-3.txt", "notes/sub/near-3.md"]
    assert text_before(contents, {"source": "notes", "path": "really-a.txt"}) == "not-what-it-says:plain"
    assert text_before(contents, {"source": "notes", "path": "picture.png"}) == ""


@pytest.mark.parametrize("name", ["nothing", "", "0", "%"])
def test_a_name_that_fits_no_document_is_refused(connection, name: str):
    with pytest.raises(UserError, match="0 documents"):
        find(connection, name)


def test_the_difference_shows_what_was_taken_out():
    assert list(difference("a\nwrite to x@y.org\nb", "a\nwrite to [EMAIL]\nb"))[3:] == [
        " a",
        "-write to x@y.org",
        "+write to [EMAIL]",
        " b",
    ]
