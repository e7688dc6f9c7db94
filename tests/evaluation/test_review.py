"""Decisions of people: applied to the items they name, kept in a file, refused when they make no sense."""

from pathlib import Path
from typing import Any

import pytest

from forge_dagster.errors import DataError, RecipeError
from forge_dagster.evaluation.review import FILE, Decision, Review, load_review, reviewed, write_review

ITEM = {"id": "cloze/a", "query": "q", "choices": ["w", "x", "y", "z"], "gold": 1, "document_ids": ["d"]}
ITEMS = {"cloze": [ITEM, {**ITEM, "id": "cloze/b"}]}


def test_a_struck_item_leaves_with_its_reason():
    result = reviewed(ITEMS, Review(items={"cloze/a": Decision(decision="strike", reason="ambiguous")}))
    assert [item["id"] for item in result.items["cloze"]] == ["cloze/b"]
    assert result.struck == [{**ITEM, "task": "cloze", "reason": "ambiguous"}]


def test_an_edit_changes_what_it_names_alone():
    edit = Decision(decision="edit", reason="typo", query="Q", gold=2)
    result = reviewed(ITEMS, Review(items={"cloze/a": edit}))
    assert result.items["cloze"][0] == {**ITEM, "query": "Q", "gold": 2, "edited": "typo"}


def test_an_approval_is_noted_and_a_decision_on_nothing_is_told():
    approve = Decision(decision="approve")
    result = reviewed(ITEMS, Review(items={"cloze/a": approve, "gone/c": approve}))
    assert result.items["cloze"][0]["approved"] is True
    assert result.unknown == ["gone/c"]
    assert not result.struck


def test_what_is_written_is_read_again(tmp_path: Path):
    assert load_review(tmp_path) == Review()
    review = Review(
        items={
            "cloze/b": Decision(decision="edit", reason="déjà vu: twice", choices=["1", "2", "3", "4"]),
            "cloze/a": Decision(decision="strike", reason="#no"),
            "cloze/c": Decision(decision="approve"),
        }
    )
    write_review(tmp_path, review)
    assert load_review(tmp_path) == review
    before = (tmp_path / FILE).read_bytes()
    write_review(tmp_path, load_review(tmp_path))
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize(
    "line",
    [
        "{decision: strike}",
        "{decision: edit, reason: why}",
        "{decision: edit, gold: 1}",
        "{decision: approve, gold: 1}",
        "{decision: strike, reason: why, gold: 1}",
        "{decision: delete, reason: why}",
        "{decision: strike, reason: why, by: me}",
        "{decision: edit, reason: why, gold: -1}",
        "{decision: strike, reason: '  '}",
    ],
)
def test_a_decision_that_makes_no_sense_is_named(tmp_path: Path, line: str):
    (tmp_path / FILE).write_text(f"items:\n  cloze/a: {line}\n")
    with pytest.raises(RecipeError, match=r"review\.yaml: items\.cloze/a"):
        load_review(tmp_path)


@pytest.mark.parametrize("changes", [{"choices": ["w", "x", "y"]}, {"choices": ["w", "w", "y", "z"]}, {"gold": 4}])
def test_an_edit_that_breaks_the_item_is_refused(changes: dict[str, Any]):
    edit = Decision(decision="edit", reason="why", **changes)
    with pytest.raises(DataError, match="cloze/a: choices"):
        reviewed(ITEMS, Review(items={"cloze/a": edit}))
