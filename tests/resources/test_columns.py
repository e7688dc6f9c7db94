"""Lineage of columns names columns that are there."""

import pytest

from forge_dagster.corpus import clean, corpus, snapshot
from resources.columns import columns_of


@pytest.mark.parametrize(
    ("key", "before", "schemas"),
    [
        ("clean_documents/sample", "raw_documents", (snapshot.DOCUMENTS, clean.DOCUMENTS)),
        ("corpus", "clean_documents", (clean.DOCUMENTS, corpus.TEXTS)),
    ],
)
def test_each_column_comes_from_one_that_is_there(key: str, before: str, schemas: tuple):
    lineage = columns_of(key)["dagster/column_lineage"].deps_by_column
    assert set(lineage) <= set(schemas[1].names)
    for deps in lineage.values():
        for dep in deps:
            assert dep.asset_key.to_user_string() == before
            assert dep.column_name in schemas[0].names
    assert [column.name for column in columns_of(key)["dagster/column_schema"].columns] == schemas[1].names


def test_what_is_no_copy_has_no_lineage():
    assert columns_of("token_shards/bpe-2048") == {}
    assert "dagster/column_lineage" not in columns_of("raw_documents/sample")
