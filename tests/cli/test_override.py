"""`forge scorecard` and `forge override` on a scorecard of the store."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from release_case import GOOD, RECIPE, Candidate
from typer.testing import CliRunner

from forge_dagster.cli.main import app
from forge_dagster.errors import UserError
from forge_dagster.home import Home
from forge_dagster.override import load_overrides
from forge_dagster.provenance.files import content_digest, list_files
from forge_dagster.provenance.ledger import Ledger

PEOPLE = ("--reason", "the pilot needs it on Monday", "--by", "Ada", "--approved-by", "Grace")


@pytest.fixture
def stored(candidate: Candidate, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Candidate:
    """A candidate whose scorecard, with one failed gate, is current in a store."""
    candidate.score({**GOOD, "sft": {"facts_seen.acc": 0.5, "validation.bits_per_byte": 1.5}})
    digest = content_digest(list_files(candidate.inputs["scorecard"]))
    version = home.artifacts / "small" / "scorecard" / digest
    shutil.copytree(candidate.inputs["scorecard"], version / "content")
    (version / "beside").mkdir()
    (version / "beside" / "run.json").write_text('{"begun": "2026-11-24T12:00:00+00:00"}')
    (version / "records").mkdir()
    (version / "records" / "f.json").write_text("{}")
    (version.parent / "CURRENT").write_text(digest)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small.yaml").write_text(yaml.safe_dump(RECIPE.model_dump(mode="json")))
    monkeypatch.setenv("FORGE_RECIPES", str(tmp_path / "recipes"))
    return candidate


def test_two_people_override_a_failed_gate(stored: Candidate, home: Home, tmp_path: Path):
    result = CliRunner().invoke(app, ["override", "small", "--gate", "facts_seen.acc", *PEOPLE, "--json"])
    assert result.exit_code == 0, result.output
    (override,) = load_overrides(tmp_path / "recipes" / "overrides")["small"]
    (entry,) = Ledger(home.ledger).entries()
    assert (entry["kind"], entry["statement"]["approved_by"]) == ("override", "Grace")
    assert entry["statement"]["checkpoint"] == override.checkpoint
    stored.overrides, stored.ledger = (override,), Ledger(home.ledger)
    assert "approved by Grace" in (stored.release() / "README.md").read_text()


@pytest.mark.parametrize(
    ("gate", "people"),
    [
        ("validation.bits_per_byte", PEOPLE),  # it passed
        ("facts_seen.acc", (*PEOPLE[:-1], "ada")),
        ("facts_seen.acc", ("--reason", "", *PEOPLE[2:])),
    ],
)
def test_anything_less_is_refused(stored: Candidate, home: Home, tmp_path: Path, gate: str, people: tuple[str, ...]):
    result = CliRunner().invoke(app, ["override", "small", "--gate", gate, *people])
    assert isinstance(result.exception, UserError)
    assert not (tmp_path / "recipes" / "overrides").exists()
    assert not home.ledger.exists()


def test_a_scorecard_is_shown_compared_and_listed(stored: Candidate):
    shown = CliRunner().invoke(app, ["scorecard", "small"])
    assert shown.exit_code == 0, shown.output
    assert json.loads(CliRunner().invoke(app, ["scorecard", "small", "--json"]).output)["passed"] is False
    compared = json.loads(CliRunner().invoke(app, ["scorecard", "small", "--compare", "small", "--json"]).output)
    assert {row["seen"] for row in compared["metrics"]} == {"no difference seen"}
    listed = json.loads(CliRunner().invoke(app, ["scorecard", "small", "--history", "--json"]).output)["scorecards"]
    assert [entry["failed"] for entry in listed] == [["facts_seen.acc (minimum)"]]
