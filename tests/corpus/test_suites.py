"""Great Expectations really runs, and each rule really fails on content that breaks it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.corpus import clean, corpus, snapshot, split
from forge_dagster.corpus.dispositions import DISPOSITIONS as SCHEMA
from forge_dagster.corpus.expectations import Rule, validate
from forge_dagster.corpus.suites import (
    Suite,
    judge_clean_documents,
    judge_corpus,
    judge_raw_documents,
    judge_split,
)

ID = "a" * 64
Change = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


def failing(suite: Suite, content: Path) -> set[str]:
    findings = suite.check(content)
    assert tuple(finding.name for finding in findings) == suite.names
    return {finding.name for finding in findings if not finding.passed}


def broken(content: Path, to: Path, file: str, change: Change) -> Path:
    """A copy of `content` with the rows of one file changed."""
    shutil.copytree(content, to)
    table = pq.read_table(to / file)
    pq.write_table(pa.Table.from_pylist(change(table.to_pylist()), table.schema), to / file)
    return to


def put(column: str, value: Any, where: str | None = None) -> Change:
    """Set a column of the first row, or of the first whose disposition is `where`."""

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        next(row for row in rows if where is None or row["disposition"] == where)[column] = value
        return rows

    return change


def first_twice(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rows[0], *rows]


DOCUMENTS, DISPOSITIONS = "documents.parquet", "dispositions.parquet"
RAW_AND_CLEAN: list[tuple[str, Change, set[str]]] = [
    (DOCUMENTS, put("id", "A" * 64), {"ids_are_sha256"}),
    (DOCUMENTS, put("id", None), {"ids_are_sha256"}),
    (DOCUMENTS, lambda rows: [], {"there_are_documents", "counts_reconcile"}),
    (DOCUMENTS, lambda rows: rows[1:], {"counts_reconcile"}),
    (DISPOSITIONS, put("disposition", "lost", "kept"), {"every_*_has_a_disposition", "counts_reconcile"}),
    (DISPOSITIONS, put("disposition", None, "kept"), {"every_*_has_a_disposition", "counts_reconcile"}),
    (DISPOSITIONS, first_twice, {"paths_are_unique"}),
]


@pytest.mark.parametrize(("file", "change", "names"), RAW_AND_CLEAN)
def test_the_suite_of_raw_documents_fails(raw: Path, tmp_path: Path, file: str, change: Change, names: set[str]):
    found = failing(judge_raw_documents, broken(raw, tmp_path / "broken", file, change))
    assert {name.replace("file", "*") for name in found} >= names


def test_a_source_that_is_mostly_unreadable_is_refused(cleaned: Path, tmp_path: Path):
    def unreadable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*rows, *({**rows[0], "path": f"{n}", "disposition": "quarantined"} for n in range(len(rows) + 1))]

    found = failing(judge_clean_documents, broken(cleaned, tmp_path / "broken", DISPOSITIONS, unreadable))
    assert found == {"most_documents_are_readable"}


@pytest.mark.parametrize(
    ("file", "change", "names"),
    [
        *RAW_AND_CLEAN,
        (DOCUMENTS, put("text", ""), {"texts_are_not_empty"}),
        (DOCUMENTS, put("text", None), {"texts_are_not_empty"}),
        (DOCUMENTS, put("format", "wav"), {"formats_are_known"}),
    ],
)
def test_the_suite_of_clean_documents_fails(cleaned: Path, tmp_path: Path, file: str, change: Change, names: set[str]):
    found = failing(judge_clean_documents, broken(cleaned, tmp_path / "broken", file, change))
    assert {name.replace("document_", "*_") for name in found} >= names


def without_side(side: str) -> Change:
    return lambda rows: [row for row in rows if row["split"] != side]


def cluster_divided(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    dropped = next(row for row in rows if row["disposition"] == "dropped")
    kept = next(row for row in rows if row["cluster"] == dropped["cluster"] and row["disposition"] == "kept")
    dropped |= {"disposition": "kept", "split": "test" if kept["split"] != "test" else "train"}
    return rows


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (put("id", "x"), {"ids_are_sha256"}),
        (put("disposition", None, "dropped"), {"every_document_has_a_disposition"}),
        (put("split", "", "kept"), {"kept_documents_have_a_side"}),
        (put("disposition", "dropped", "kept"), {"one_document_of_a_cluster_is_kept"}),
        (cluster_divided, {"one_document_of_a_cluster_is_kept", "no_cluster_is_on_two_sides"}),
        (without_side("validation"), {"every_side_has_documents"}),
        (without_side("train"), {"every_side_has_documents"}),
    ],
)
def test_the_suite_of_the_split_fails(divided: Path, tmp_path: Path, change: Change, names: set[str]):
    assert failing(judge_split, broken(divided, tmp_path / "broken", "split.parquet", change)) >= names


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A corpus of three documents."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    dispositions = []
    for number, side in enumerate(("train", "validation", "test")):
        row = {"id": str(number) * 64, "source": "s", "path": side, "title": "", "text": "text"}
        pq.write_table(pa.Table.from_pylist([row], corpus.TEXTS), folder / f"{side}.parquet")
        dispositions.append({"path": side, "id": row["id"], "disposition": "kept", "reason": ""})
    pq.write_table(pa.Table.from_pylist(dispositions, SCHEMA), folder / DISPOSITIONS)
    return folder


@pytest.mark.parametrize(
    ("file", "change", "names"),
    [
        ("train.parquet", lambda rows: [], {"there_is_training_text", "counts_reconcile"}),
        ("validation.parquet", lambda rows: [], {"there_is_validation_text", "counts_reconcile"}),
        ("test.parquet", put("id", "0" * 64), {"no_document_is_on_two_sides"}),
        ("test.parquet", put("id", None), {"ids_are_sha256"}),
        ("train.parquet", put("text", ""), {"texts_are_not_empty"}),
        (DISPOSITIONS, put("disposition", "lost"), {"every_document_has_a_disposition", "counts_reconcile"}),
    ],
)
def test_the_suite_of_the_corpus_fails(made: Path, tmp_path: Path, file: str, change: Change, names: set[str]):
    assert failing(judge_corpus, made) == set()
    assert failing(judge_corpus, broken(made, tmp_path / "broken", file, change)) >= names


def test_a_finding_shows_what_was_observed():
    table = pd.DataFrame({"n": [1, 2, 30]})
    rule = Rule("small", "ExpectColumnValuesToBeBetween", {"column": "n", "max_value": 9})
    (finding,) = validate(table, [rule])
    assert not finding.passed
    assert finding.observed == {"element_count": 3, "unexpected_count": 1, "partial_unexpected_list": "[30]"}


def test_an_expectation_that_cannot_be_evaluated_is_no_finding():
    rule = Rule("there", "ExpectColumnValuesToBeBetween", {"column": "absent", "max_value": 9})
    with pytest.raises(RuntimeError, match="there could not be evaluated"):
        validate(pd.DataFrame({"n": [1]}), [rule])


def test_every_stage_names_its_findings(raw: Path, cleaned: Path, divided: Path):
    for stage, content in ((snapshot.STAGE, raw), (clean.STAGE, cleaned), (split.STAGE, divided)):
        assert stage.check is not None
        findings = stage.check(content)
        assert tuple(finding.name for finding in findings) == stage.check_names
        assert len(set(stage.check_names)) == len(stage.check_names)
        assert all(finding.passed for finding in findings)
