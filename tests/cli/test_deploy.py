"""`forge deploy`: writes the files, says what comes next, and refuses what would be applied by mistake."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from forge_dagster.cli.main import app
from forge_dagster.errors import ForgeError, RecipeError, UserError
from forge_dagster.home import PROJECT


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A folder with a profile, and its site beside it."""
    shutil.copy(PROJECT / "deploy/compute.kubernetes.yaml", tmp_path / "compute.yaml")
    shutil.copy(PROJECT / "deploy/site.yaml", tmp_path / "site.yaml")
    return tmp_path


def _deploy(folder: Path, *more: str) -> str:
    arguments = ["deploy", "--profile", str(folder / "compute.yaml"), "--out", str(folder / "out"), *more]
    return CliRunner().invoke(app, arguments, catch_exceptions=False).output


def test_one_object_a_file_and_the_next_commands(given: Path):
    said = _deploy(given)
    out = given / "out"
    assert f"kubectl apply --filename {out / 'manifests'}" in said
    assert "helm upgrade --install dagster dagster/dagster --version 1.13.27 --namespace forge" in said
    written = sorted(path.name for path in (out / "manifests").iterdir())
    assert written[0] == "00-namespace-forge.yaml"
    assert "dagsterWebserver" in yaml.safe_load((out / "values.yaml").read_text())
    assert len(written) + 1 == int(said.split()[0])


def test_programs_get_the_list_of_files(given: Path):
    told = json.loads(_deploy(given, "--json"))
    assert all(Path(name).is_file() for name in told["files"])
    assert "Secret forge-database with postgresql-password" in told["needs"]
    assert not any("PriorityClass" in need for need in told["needs"]), "these are among the files"


def test_priorities_and_queues_that_are_not_among_the_files_are_told(given: Path):
    path = given / "compute.yaml"
    profile = yaml.safe_load(path.read_text()) | {"namespace": "other"}
    profile["default"] |= {"queue": "curation"}
    path.write_text(yaml.safe_dump(profile))
    said = _deploy(given)
    assert "PriorityClass forge-curation" in said
    assert "LocalQueue curation of Kueue" in said


def test_the_same_folder_is_written_again_and_another_site_may_be_named(given: Path):
    _deploy(given)
    (given / "site.yaml").rename(given / "other.yaml")
    assert "29 files" in _deploy(given, "--site", str(given / "other.yaml"))


def test_a_folder_with_other_files_is_refused_and_nothing_written(given: Path):
    (given / "out/manifests").mkdir(parents=True)
    (given / "out/manifests/99-secret.yaml").touch()
    with pytest.raises(UserError, match="99-secret") as caught:
        _deploy(given)
    assert "applies all of them" in caught.value.rule
    assert len(list((given / "out/manifests").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("compute.yaml", "kind: slurm\n", "kind = 'slurm'"),
        ("compute.yaml", "kind: kubernetes\nimage: forge:latest\n", "image"),
        ("compute.yaml", "kind: kubernetes\nimage: 'a/forge:1'\nnamespace: 'x: {}'\n", "namespace"),
        ("compute.yaml", "{ not: yaml", "not valid YAML"),
        ("site.yaml", "storage: 1Gi\n", "entrance"),
        ("site.yaml", "- a\n", "top level is a mapping"),
        ("site.yaml", None, "is no file"),
        ("compute.yaml", None, "is no file"),
        ("out", "", "is a file"),
    ],
)
def test_broken_input_is_named_and_writes_nothing(given: Path, name: str, text: str | None, said: str):
    if text is None:
        (given / name).unlink()
    else:
        (given / name).write_text(text)
    with pytest.raises(ForgeError, match=said) as caught:
        _deploy(given)
    assert isinstance(caught.value, UserError | RecipeError)
    assert caught.value.mend
    assert not (given / "out").is_dir()


def test_the_help_teaches():
    said = " ".join(CliRunner().invoke(app, ["deploy", "--help"]).output.split())
    for word in ("kubectl apply", "helm install", "forge schema site", "deploy/README.md", "no cluster is needed"):
        assert word in said
