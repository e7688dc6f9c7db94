"""`forge sources accept` and `forge status` over a source that lost most of its documents."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from forge_dagster.cli.main import app
from forge_dagster.cli.sources import accept
from forge_dagster.corpus.snapshot import snapshot_config
from forge_dagster.corpus.standing import content_of, raw_key
from forge_dagster.declared import load_declared
from forge_dagster.errors import UserError
from forge_dagster.home import Home
from forge_dagster.provenance.build import External, Order, build
from forge_dagster.provenance.run import Run


@pytest.fixture
def emptied(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A source of which ten documents were read, and one is left."""
    (tmp_path / "sources").mkdir()
    (tmp_path / "docs").mkdir()
    source = {"name": "docs", "kind": "folder", "location": "../docs", "owner": "o", "licence": "internal"}
    (tmp_path / "sources" / "docs.yaml").write_text(yaml.safe_dump(source | {"sensitivity": "internal"}))
    monkeypatch.setenv("FORGE_SOURCES", str(tmp_path / "sources"))
    for number in range(10):
        (tmp_path / "docs" / f"{number}.txt").write_text(f"document {number}")
    place = snapshot_config(load_declared().sources["docs"])
    documents = External(what="docs", measure=lambda: content_of(home, "docs", place, 0.5))
    order = Order(
        key=raw_key("docs"),
        module="forge_dagster.corpus.snapshot",
        inputs={},
        external={"documents": documents},
        config=place,
        numerics=None,
    )
    run = Run(home, "first")
    run.freeze({})
    build(run, order, actor="user:test", say=lambda _: None)
    for number in range(1, 10):
        (tmp_path / "docs" / f"{number}.txt").unlink()
    return home


def row_of_docs() -> dict[str, str]:
    told = json.loads(CliRunner().invoke(app, ["status", "--json"], catch_exceptions=False).stdout)
    return next(row for row in told["artifacts"] if row["artifact"] == "raw_documents/docs")


@pytest.mark.usefixtures("emptied")
def test_a_held_source_is_said_until_it_is_accepted():
    row = row_of_docs()
    assert row["state"] == "held"
    assert "lists 1 entries, 10 when it was last read" in row["why"]
    told = CliRunner().invoke(app, ["status"], catch_exceptions=False).stdout
    assert "docs is held for a person" in told
    done = CliRunner().invoke(app, ["sources", "accept", "docs"], catch_exceptions=False)
    assert "docs is accepted as it is now" in done.stdout
    assert row_of_docs()["state"] == "stale"
    assert "docs is not held" in CliRunner().invoke(app, ["sources", "accept", "docs"], catch_exceptions=False).stdout


@pytest.mark.usefixtures("emptied")
def test_a_source_that_vanished_is_said(tmp_path: Path):
    (tmp_path / "docs").rename(tmp_path / "gone")
    row = row_of_docs()
    assert (row["state"], row["why"]) == ("held", f"{tmp_path / 'docs'}: no such folder")


@pytest.mark.usefixtures("emptied")
def test_a_name_that_is_no_source_is_refused():
    with pytest.raises(UserError, match="a source is one of docs"):
        accept("other")
