"""Versions of a document are told by name and likeness; the preferred source, then the newest, is kept."""

import pytest

from forge_dagster.corpus.signature import shingles
from forge_dagster.corpus.versions import newer_first, superseded, version_of


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("a/manual-v2.pdf", ("a/manual-*.pdf", (2,))),
        ("a/manual_rev-10.md", ("a/manual_*.md", (10,))),
        ("guide 1.10.2.txt", ("guide *.txt", (1, 10, 2))),
        ("plan.Version 3.docx", ("plan.*.docx", (3,))),
        ("minutes-2024-03-14.txt", None),
        ("manual-0018-1.3.md", ("manual-0018-*.md", (1, 3))),
        ("chapter-07.html", None),
        ("driver.md", None),
        ("v/readme", None),
    ],
)
def test_a_version_is_read_from_the_name(path: str, version: object):
    assert version_of(path) == version


def test_older_versions_point_at_the_newest(prose):
    text = prose(1, 30)
    edited = text.replace("number", "No.", 9)
    paths = ["m-v1.md", "m-v10.md", "m-v9.md", "other-v1.md", "series-v1.md", "series-v2.md"]
    texts = [text, edited + "More.", edited, prose(2), prose(3), prose(4)]
    found = superseded(["s"] * 6, paths, lambda index: shingles(texts[index]))
    assert found == {0: 1, 2: 1}
    assert superseded(["a", "b"], ["m-v1.md", "m-v2.md"], lambda index: shingles(text)) == {}, "of one source"


def test_the_preferred_then_the_newest_then_the_longest_is_first():
    row = {"rank": 0, "time": None, "characters": 10, "source": "s", "path": "a.md"}
    rows = [
        {**row, "rank": 1},
        {**row, "time": "2024-03-14T10:00:00Z"},
        {**row, "time": "2023-12-31"},
        {**row, "path": "b-v2.md"},
        {**row, "path": "b-v1.md"},
        {**row, "characters": 20},
        row,
        {**row, "path": "b.md"},
    ]
    mixed = [*rows[4:], *rows[:4]]
    assert sorted(mixed, key=newer_first) == rows
