"""A plan's digest names what would be done: it stays while that stays, and moves with anything that decides it."""

from pathlib import Path

import pytest
import yaml
from agents_case import Case

from assets.graph import all_hops
from forge_dagster.cli.forecast import chosen_for, foresee, held_to
from forge_dagster.cli.main import main
from forge_dagster.cli.plan import plan
from forge_dagster.declared import load_declared
from forge_dagster.errors import UserError, VerdictError
from forge_dagster.home import Home


@pytest.fixture
def case(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> Case:
    return Case(tmp_path / "organisation", home, monkeypatch)


def test_a_digest_moves_with_the_recipe_and_with_the_documents(case: Case):
    first = foresee(case.home, load_declared(), "small", "processor")
    again = foresee(case.home, load_declared(), "small", "gpu")
    assert first.digest == again.digest
    assert first.tokens == case.recipe["stages"][0]["settings"]["tokens"]
    assert first.told("processor")["cost"]["operations"] > 6 * first.tokens
    assert first.hours is None, "most of it was never made"
    path = case.root / "recipes" / "small.yaml"
    path.write_text(yaml.safe_dump(case.recipe | {"seed": 99}))
    other = foresee(case.home, load_declared(), "small", "processor")
    assert other.digest != first.digest
    with pytest.raises(VerdictError, match="no longer holds"):
        held_to(case.home, load_declared(), "small", first.digest)(plan_of(case))
    held_to(case.home, load_declared(), "small", other.digest)(plan_of(case))
    (case.root / "plant" / "new.txt").write_text("Another page.")
    assert foresee(case.home, load_declared(), "small", "processor").digest != other.digest


def test_a_study_costs_as_much_as_all_its_trials(case: Case, monkeypatch: pytest.MonkeyPatch):
    folder = case.root / "studies"
    folder.mkdir()
    monkeypatch.setenv("FORGE_STUDIES", str(folder))
    study = {
        "name": "rates", "recipe": "small", "seed": 1, "metric": "validation_bits_per_byte", "trials": 5,
        "space": {"base.muon_lr": {"low": 0.005, "high": 0.05, "log": True}}, "operations": None, "batch": 2,
        "proxy": {"tokens": 4096, "width": 64}, "pieces": 1, "sampler": "tpe", "pruner": "none",
    }  # fmt: skip
    (folder / "rates.yaml").write_text(yaml.safe_dump(study))
    found = foresee(case.home, load_declared(), "study/rates", "processor")
    assert (found.trials, found.tokens) == (5, 5 * 4096)
    whole = found.told("processor")["cost"]["operations"]
    (folder / "rates.yaml").write_text(yaml.safe_dump({**study, "operations": int(whole / 2)}))
    less = foresee(case.home, load_declared(), "study/rates", "processor")
    assert less.told("processor")["cost"]["operations"] == int(whole / 2)
    assert less.digest != found.digest
    assert foresee(case.home, load_declared(), "small", "processor").trials == 1


def plan_of(case: Case):
    declared = load_declared()
    hops = all_hops(declared)
    return plan(case.home, declared, hops, chosen_for(declared, hops, "small"), verify=False)


def test_a_target_is_a_recipe_or_the_report(case: Case):
    assert [step.artifact for step in foresee(case.home, load_declared(), "readiness", "gpu").work][-1] == "readiness"
    with pytest.raises(UserError, match="target 'corpus'"):
        foresee(case.home, load_declared(), "corpus", "gpu")


@pytest.mark.parametrize("more", [["--select", "corpus"], ["--force"], ["--full"], ["--recipe", "small"], []])
def test_a_plan_goes_with_one_recipe_and_nothing_else(case: Case, more: list[str], monkeypatch, capfd):
    wanted = ["--recipe", "small"] if more else []
    monkeypatch.setattr("sys.argv", ["forge", "run", *wanted, "--plan", "0" * 64, *more])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "--plan with other options" in capfd.readouterr().err
