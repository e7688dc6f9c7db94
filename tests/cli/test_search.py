"""`forge search`: what it would do is told before anything runs, and what cannot be done is refused in one message."""

import json
from pathlib import Path

import pytest
import yaml

from forge_dagster.cli.main import main
from forge_dagster.study import Study


@pytest.fixture
def forge(home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run `forge search` in this process; return exit code, standard output, standard error."""
    for name in ("FORGE_SOURCES", "FORGE_RECIPES", "FORGE_STUDIES"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["forge", "search", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    return run


def test_a_plan_says_trials_cost_and_stops_and_its_study_can_be_given_back(forge, tmp_path: Path):
    asked = (
        "tiny-dense",
        "--trials",
        "12",
        "--vary",
        "base.muon_lr=0.005:0.08:log",
        "--vary",
        "base.clip_norm=1.0,2.0",
    )
    code, out, _ = forge(*asked, "--plan", "--json")
    assert code == 0
    plan = json.loads(out)
    assert (plan["most_trials"], plan["tokens_each"], plan["steps_each"]) == (12, 151_552, 37)
    assert plan["judged_after_steps"] == [10, 20, 30]
    assert plan["most_operations"] == 12 * plan["most_operations_each"]
    assert 0 < plan["trainings_of_the_recipe"] < 12 / 4
    assert plan["carried"]["head_lr"] == 1.5
    assert set(plan["study"]["space"]) == {"base.muon_lr", "base.clip_norm"}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(plan["study"] | {"name": "mine"}))
    code, out, _ = forge("tiny-dense", "--study", str(path), "--plan", "--json")
    assert code == 0
    assert Study.model_validate(json.loads(out)["study"]).name == "mine"
    code, out, err = forge(*asked, "--operations", "2e12", "--plan")
    assert code == 0
    assert "At most 2e+12 training operations" in err
    assert out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("huge",), "a recipe is one of tiny-dense"),
        (("tiny-dense", "--trials", "1000000"), "trials = 1000000"),
        (("tiny-dense", "--vary", "base.speed=1:2"), "setting 'base.speed' of the space"),
        (("tiny-dense", "--vary", "base.muon_lr=0.2:0.1"), "is not below"),
        (("tiny-dense", "--vary", "base.muon_lr=a:b"), "LOW and HIGH are numbers"),
        (("tiny-dense", "--vary", "base.muon_lr"), "write it so"),
        (("tiny-dense", "--metric", "happiness"), "metric 'happiness'"),
        (("tiny-dense", "--sampler", "oracle"), "'tpe', 'gp' or 'random'"),
        (("tiny-dense", "--width", "100"), "the width is one of 64, 128, 192"),
        (("tiny-dense", "--operations", "1000"), "one trial may take"),
        (("tiny-dense", "--study", "nowhere.yaml"), "no such file"),
    ],
)
def test_what_cannot_be_searched_is_refused(forge, arguments: tuple[str, ...], said: str):
    code, _, err = forge(*arguments, "--plan")
    assert code == 2
    assert said in " ".join(err.split())
    assert "Mend:" in err
