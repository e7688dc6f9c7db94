"""The sensor is pure: touching a file asks for nothing new, changing one asks once, by content."""

import os
from pathlib import Path

import dagster as dg
import pytest
import yaml

from sensors.source_changes import source_changes


@pytest.fixture
def document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "sources").mkdir()
    source = {"name": "docs", "kind": "folder", "location": "../docs", "owner": "o", "licence": "internal"}
    (tmp_path / "sources" / "docs.yaml").write_text(yaml.safe_dump(source | {"sensitivity": "internal"}))
    monkeypatch.setenv("FORGE_SOURCES", str(tmp_path / "sources"))
    path = tmp_path / "docs" / "a.txt"
    path.write_text("one")
    return path


def tick(cursor: str | None) -> tuple[list[str], str | None]:
    context = dg.build_sensor_context(cursor=cursor)
    found = list(source_changes(context))
    return [item.run_key for item in found if isinstance(item, dg.RunRequest)], context.cursor


def test_the_same_state_gives_the_same_answer(document: Path):
    first, cursor = tick(None)
    assert len(first) == 1
    assert tick(None)[0] == first
    assert tick(cursor)[0] == []


def test_a_touched_file_repeats_the_same_key(document: Path):
    first, cursor = tick(None)
    os.utime(document, ns=(1, 1))
    assert tick(cursor)[0] == first


def test_a_changed_file_asks_with_a_new_key(document: Path):
    first, cursor = tick(None)
    document.write_text("two")
    changed, _ = tick(cursor)
    assert len(changed) == 1
    assert changed != first


def test_a_source_in_shards_asks_for_the_one_that_changed(document: Path):
    source = document.parents[1] / "sources" / "docs.yaml"
    source.write_text(source.read_text() + "shards: 2\n")
    first, cursor = tick(None)
    document.write_text("two")
    second, _ = tick(cursor)
    assert [key.partition("@")[0] for key in first] == ["raw_documents/docs-1of2", "raw_documents/docs-2of2"]
    # Dagster starts no second run for a key it has seen.
    assert len(set(second) - set(first)) == 1
