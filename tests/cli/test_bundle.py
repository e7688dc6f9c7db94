"""`forge keys`, `bundle`, `prove`, `approve`, `promote`, `rollback`: what they print, and what they refuse."""

import json
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks._small_release import document_id, small_release
from forge_dagster.bundle.verifier.checks import check
from forge_dagster.bundle.verifier.opened import Opened
from forge_dagster.cli.main import app
from forge_dagster.errors import UserError
from forge_dagster.home import Home


def forge(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    if done.exception:
        raise done.exception
    return done.stdout


@pytest.fixture
def released(home: Home) -> Home:
    small_release(home)
    forge("keys", "new", "--name", "releases", "--owner", "Ada Reed")
    return home


def test_from_keys_to_a_bundle_that_verifies(released: Home, tmp_path: Path):
    forge("keys", "new", "--name", "second", "--owner", "Bo Lund")
    forge("approve", "small", "--key", "second", "--note", "scores and report were read")
    forge("promote", "small", "--key", "releases")
    path = tmp_path / "release.tar"
    said = json.loads(forge("bundle", "small", "--out", str(path), "--key", "releases", "--json"))
    found = check(Opened(path), [said["kid"]], [said["head"]])
    assert found.problems == []
    assert [each["owner"] for each in found.approvals] == ["Bo Lund"]
    with tarfile.open(path) as archive:
        assert len(archive.getnames()) == said["files"]
    assert [key["owner"] for key in json.loads(forge("keys", "list", "--json"))] == ["Ada Reed", "Bo Lund"]


def test_a_proof_is_of_an_id_or_a_file(released: Home, tmp_path: Path):
    assert json.loads(forge("prove", "small", document_id(0), "--json"))["included"] is True
    (tmp_path / "other.txt").write_text("never read")
    assert json.loads(forge("prove", "small", str(tmp_path / "other.txt"), "--json"))["included"] is False
    with pytest.raises(UserError, match="is no document"):
        forge("prove", "small", "abc")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bundle", "small", "--key", "none", "--out", "x.tar"], "no key none"),
        (["bundle", "large", "--key", "releases", "--out", "x.tar"], "no current version"),
        (["bundle", "small@ffff", "--key", "releases", "--out", "x.tar"], "0 versions match"),
        (["bundle", "small", "--key", "releases", "--out", "."], "is a folder"),
        (["rollback", "small", "--key", "releases", "--reason", "it is not good"], "nothing served before"),
    ],
)
def test_what_is_wrong_is_said(released: Home, arguments: list[str], said: str):
    with pytest.raises(UserError, match=said):
        forge(*arguments)
