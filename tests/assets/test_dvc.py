"""dvc.yaml of a home that lies elsewhere, and what DVC is shown of the current versions."""

from pathlib import Path

import pytest
import yaml

from assets.dvc import dvc_yaml, layout_of, refresh
from assets.graph import all_hops
from forge_dagster.declared import load_declared
from forge_dagster.errors import UserError
from forge_dagster.home import PROJECT, Home


def test_a_home_elsewhere_has_its_own_and_its_commands_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORGE_POLICIES", str(PROJECT / "policies"))
    home, hops = Home(tmp_path / "a home"), all_hops(load_declared())
    refresh(home, hops)
    stages = yaml.safe_load((home.root / "dvc.yaml").read_text())["stages"]
    assert stages["corpus"]["cmd"] == "FORGE_HOME=. forge run --select corpus"
    assert stages["raw_documents--sample"]["deps"] == [str(PROJECT / "sources" / "sample.yaml")]
    assert list(stages["corpus"]["outs"][0]) == ["artifacts/corpus/CURRENT"]


def test_a_home_below_somebodys_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".dvc").mkdir()
    monkeypatch.setenv("FORGE_RECIPES", str(PROJECT / "recipes"))
    stages = yaml.safe_load(dvc_yaml(all_hops(load_declared()), layout_of(Home(tmp_path / "state" / "forge"))))[
        "stages"
    ]
    assert stages["corpus"]["cmd"] == "FORGE_HOME=state/forge forge run --select corpus"
    assert list(stages["corpus"]["outs"][0]) == ["state/forge/artifacts/corpus/CURRENT"]


def test_a_dvc_yaml_of_somebody_else_is_left_alone(tmp_path: Path):
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    with pytest.raises(UserError, match="was not made by forge"):
        refresh(Home(tmp_path), all_hops(load_declared()))
    assert (tmp_path / "dvc.yaml").read_text() == "stages: {}\n"


def test_metrics_plots_and_models_of_every_recipe():
    shown = yaml.safe_load((PROJECT / "dvc.yaml").read_text())
    recipes = sorted(load_declared().recipes)
    assert shown["metrics"] == [f"data/artifacts/{name}/scorecard/CURRENT.metrics.json" for name in recipes]
    curves = [path for entry in shown["plots"] for path in entry]
    assert f"data/artifacts/{recipes[0]}/base_checkpoint/CURRENT.curve.csv" in curves
    assert sorted(shown["artifacts"]) == recipes
