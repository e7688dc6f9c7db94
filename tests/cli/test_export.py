"""`forge export`: what it refuses before it works, and what it tells of what was made."""

import json
from pathlib import Path

import pytest
from exported_case import shape
from lineage_store import commit
from typer.testing import CliRunner

from forge_dagster.cli.main import app
from forge_dagster.errors import IntegrityError, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.provenance.withdraw import withdraw

KEY = "tiny-moe/release"


def invoke(*arguments: str) -> str:
    return CliRunner().invoke(app, ["export", *arguments], catch_exceptions=False).stdout


@pytest.fixture
def released(home: Home) -> str:
    """A release of a mixture that serves; its digest."""

    def fill(out: Path) -> None:
        (out / "model").mkdir()
        (out / "model" / "config.json").write_text(json.dumps({"model_type": shape("mixtral").architecture}))

    return commit(home, KEY, {}, fill, {}).digest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("huge",), "a recipe is one of tiny-dense, tiny-moe"),
        (("tiny-dense",), "tiny-dense has no release that serves"),
        (("tiny-moe", "--to", "ct2"), r"ct2 does not take mixtral\n.*\n.*export to gguf or onnx"),
        (("tiny-moe", "--to", "gguf/q1"), "a precision of gguf is one of f16, q8_0, q4_0"),
    ],
)
def test_what_cannot_be_exported_is_said_before_anything_runs(
    home: Home, released: str, arguments: tuple[str, ...], said: str
):
    with pytest.raises(UserError, match=said):
        invoke(*arguments)
    assert not home.runs.exists()


def test_a_release_that_was_withdrawn_is_not_exported(home: Home, released: str):
    withdraw(home, KEY)
    with pytest.raises(UserError, match="no release that serves: what it had was withdrawn"):
        invoke("tiny-moe")


def test_a_release_whose_bytes_differ_is_not_exported(home: Home, released: str):
    path = ArtifactStore(home.artifacts).content(KEY, released) / "model" / "config.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(IntegrityError, match=r"config\.json differs from its record"):
        invoke("tiny-moe")
