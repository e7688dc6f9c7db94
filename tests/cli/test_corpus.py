"""`forge corpus` and `forge inspect` for people and for programs."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forge_dagster.cli import corpus, inspect
from forge_dagster.cli.main import app
from forge_dagster.corpus import clean, snapshot
from forge_dagster.source import Cleaning, Labels
from forge_dagster.stage import local_context

TEXT = "Ask the stores.\n\nWrite to bob@example.org about [pumps] and valves, every working day of the week.\n"


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run `forge` over two stages of one document; give what it prints."""
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "ask.txt").write_text(TEXT)
    labels = Labels(
        owner="o",
        licence="internal",
        sensitivity="internal",
        legal_basis="none",
        jurisdiction="SE",
        permitted_use=("training",),
        audience=("everyone",),
        retention=None,
    )
    read = snapshot.SnapshotConfig(source="s", kind="folder", settings={}, location=str(tmp_path / "documents"))
    contents = {"raw_documents/s": tmp_path / "raw", "clean_documents/s": tmp_path / "clean"}
    for folder in contents.values():
        folder.mkdir()
    context = local_context(tmp_path / "context")
    snapshot.run({}, read, tmp_path / "raw", context)
    config = clean.CleanConfig(cleaning=Cleaning(), labels=labels, rank=0)
    clean.run({"raw_documents": tmp_path / "raw"}, config, tmp_path / "clean", context)
    for module in (corpus, inspect):
        monkeypatch.setattr(module, "contents", lambda: contents)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    return run


def test_a_query_prints_a_table_or_json(forge: Callable[..., str]):
    sql = "SELECT path, len(redactions) AS n, text FROM clean_documents"
    assert "about [pumps]" in forge("corpus", "query", sql)
    body = json.loads(forge("corpus", "query", "--json", sql))
    assert body["columns"] == ["path", "n", "text"]
    assert body["rows"][0][:2] == ["ask.txt", 1]


def test_views_are_listed_with_their_columns(forge: Callable[..., str]):
    assert "clean_dispositions" in forge("corpus", "views")
    listing = json.loads(forge("corpus", "views", "--json"))
    assert listing["raw_documents"] == {"rows": 1, "columns": ["id", "source", "path", "size"]}


def test_a_document_is_inspected_decision_by_decision(forge: Callable[..., str]):
    shown = forge("inspect", "ask.txt")
    assert "replaced EMAIL at 26 to 41" in shown
    assert "-Write to bob@example.org about [pumps]" in shown
    assert "+Write to [EMAIL] about [pumps]" in shown
    body = json.loads(forge("inspect", "--json", hashlib.sha256(TEXT.encode()).hexdigest()[:8]))
    assert body["stages"]["clean"]["redactions"] == [{"kind": "EMAIL", "start": 26, "end": 41}]
    assert "bob@example.org" in body["before"]
    assert "bob@example.org" not in body["after"]
