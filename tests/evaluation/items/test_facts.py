"""Facts: what is left out is counted, what training never states is apart, and a useless file is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from forge_dagster.errors import DataError
from forge_dagster.evaluation.items.facts import Stated, fact_items

TAUGHT = {"a.md": Stated("1", "train")}


def write(path: Path, *facts: dict[str, Any]) -> Path:
    whole = {
        "id": "a", "subject": "s", "relation": "r", "question": "q", "answer": "X", "distractors": ["A", "B", "C"],
        "seen": "s is", "unseen": "t is", "documents": ["a.md"],
    }  # fmt: skip
    path.write_text("".join(json.dumps({**whole, **fact}) + "\n" for fact in facts))
    return path


def test_a_fact_of_no_clean_document_is_left_out_and_counted(tmp_path: Path):
    path = write(tmp_path / "facts.jsonl", {}, {"id": "b", "documents": ["gone.pdf"]})
    items, left_out = fact_items(path, TAUGHT)
    assert [item["fact"] for item in items["facts_seen"]] == ["a"]
    assert left_out == 1


def test_a_fact_of_held_out_documents_alone_is_asked_apart(tmp_path: Path):
    stated = {**TAUGHT, "b.md": Stated("2", "validation"), "c.md": Stated("3", "test")}
    path = write(
        tmp_path / "facts.jsonl",
        {"id": "taught", "documents": ["a.md", "b.md"]},
        {"id": "untaught", "documents": ["b.md", "c.md"]},
    )
    items, _ = fact_items(path, stated)
    assert {task: [item["fact"] for item in of_task] for task, of_task in items.items()} == {
        "facts_seen": ["taught"],
        "facts_unseen": ["taught"],
        "facts_untaught": ["untaught"],
    }
    assert items["facts_untaught"][0]["document_ids"] == ["2", "3"]


def test_a_file_that_names_no_document_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="none of its 1 facts names a document"):
        fact_items(write(tmp_path / "facts.jsonl", {"documents": ["docs/a.md"]}), TAUGHT)


def test_choices_that_differ_in_spaces_alone_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"facts\.jsonl:1"):
        fact_items(write(tmp_path / "facts.jsonl", {"distractors": ["X ", "B", "C"]}), TAUGHT)


def test_what_is_not_utf8_is_named(tmp_path: Path):
    (tmp_path / "facts.jsonl").write_bytes(b'{"id": "\xff"}\n')
    with pytest.raises(DataError, match=r"facts\.jsonl:1"):
        fact_items(tmp_path / "facts.jsonl", {})
