"""The base stage end to end: a folder that anything can load, the same bytes again, resumed after an interruption."""

import hashlib
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_run import SPEC, inputs_of, settings

from forge_dagster.errors import IntegrityError, InterruptedRun
from forge_dagster.recipe import load_recipes
from forge_dagster.stage import LocalContext, Report, local_context
from forge_dagster.stages import base
from forge_dagster.training.job import TrainingJob

SETTINGS = settings(steps=25)
JOB = TrainingJob[base.Settings](seed=3, model=SPEC, settings=SETTINGS)


class Stopped(LocalContext):
    """Is told to stop from the seventh step on."""

    def cancelled(self) -> bool:
        return self.seen[-1][0] >= 7


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return inputs_of(tmp_path_factory.mktemp("inputs"), documents=30)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_THREADS", "1")


def _run(inputs: dict[str, Path], folder: Path, context: LocalContext | None = None) -> tuple[Path, Report]:
    out = folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    return out, base.STAGE.run(inputs, JOB, out, context or local_context(folder))


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_folder_is_whole_and_the_same_after_an_interruption(inputs: dict[str, Path], tmp_path: Path) -> None:
    out, report = _run(inputs, tmp_path / "straight")
    assert all(finding.passed for finding in base.check_trained(out))
    assert report.counts["steps"] == report.counts["updates"] == 25
    assert report.counts["tokens"] == 128 * 25
    assert report.metrics["loss"] < math.log(300) - 1
    uniform = math.log2(300) / 3  # of about 3 bytes a token
    assert 0 < report.metrics["validation_bits_per_byte"] < uniform
    beside = tmp_path / "straight" / "beside"
    assert (beside / "log.csv").read_text().startswith("step,tokens,loss,grad_norm,lr,skipped,tokens_per_second,mfu,")
    plots = {"loss.png", "gradient.png", "mfu.png", "validation.png", "routers.png"}
    tables = {"log.jsonl", "log.csv", "router.csv", "matmul-peak.json", "begun.json"}
    assert {path.name for path in beside.iterdir()} == plots | tables
    training = json.loads((out / "training.json").read_bytes())
    assert (training["skipped"], training["rewinds"], len(training["routers"])) == ([], [], 2)
    assert report.metrics["validation_bits_per_byte/s"] == report.metrics["validation_bits_per_byte"]

    stopped = local_context(tmp_path / "stopped")
    with pytest.raises(InterruptedRun, match="after step 7 of 25"):
        _run(inputs, tmp_path / "stopped", Stopped(stopped.work, stopped.beside, stopped.cache))
    resumed, again = _run(inputs, tmp_path / "stopped")
    assert _digests(resumed) == _digests(out)
    assert again == report


def test_transformers_generates_from_it(inputs: dict[str, Path], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out, _ = _run(inputs, tmp_path)
    words = AutoTokenizer.from_pretrained(out, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(out, local_files_only=True)
    ids = words("Pump 3 feeds", return_tensors="pt")["input_ids"]
    made = model.generate(ids, max_new_tokens=5, do_sample=False)
    assert made.shape[1] <= ids.shape[1] + 5


def test_check_names_what_is_missing_or_not_finite(inputs: dict[str, Path], tmp_path: Path) -> None:
    out, _ = _run(inputs, tmp_path)
    weights = load_file(out / "model.safetensors")
    weights["lm_head.weight"][0, 0] = torch.nan
    save_file(weights, out / "model.safetensors")
    (out / "generation_config.json").unlink()
    complete, finite, served = base.check(out)
    assert (complete.name, finite.name, served.name) == base.CHECK_NAMES
    assert complete.observed == {"missing": ["generation_config.json"]}
    assert finite.observed == {"not_finite": ["lm_head.weight"]}
    assert not complete.passed
    assert not finite.passed


def test_a_dead_expert_is_told_and_stops_nothing(inputs: dict[str, Path], tmp_path: Path) -> None:
    out, _ = _run(inputs, tmp_path)
    training = json.loads((out / "training.json").read_bytes())
    training["routers"][1]["shares"] = [0.5, 0.49, 0.0, 0.01]
    (out / "training.json").write_text(json.dumps(training))
    finding = base.check_trained(out)[-1]
    assert (finding.name, finding.passed, finding.blocking) == ("experts_are_alive", False, False)
    assert finding.observed == {"experts": 8, "dead": {"layer 1": [2, 3]}}


@pytest.mark.parametrize("part", ["seed", "model", "settings", "data"])
def test_a_resume_refuses_what_another_training_left(inputs: dict[str, Path], tmp_path: Path, part: str) -> None:
    context = local_context(tmp_path)
    with pytest.raises(InterruptedRun):
        _run(inputs, tmp_path, Stopped(context.work, context.beside, context.cache))
    job, folder = JOB, inputs["token_shards"]
    if part == "seed":
        job = JOB.model_copy(update={"seed": 4})
    if part == "model":
        job = JOB.model_copy(update={"model": SPEC.model_copy(update={"rope_theta": 5000.0})})
    if part == "settings":
        job = JOB.model_copy(update={"settings": SETTINGS.model_copy(update={"muon_lr": 0.01})})
    if part == "data":
        folder = Path(shutil.copytree(folder, tmp_path / "shards"))
        data = bytearray((folder / "train-00000.bin").read_bytes())
        data[0:4] = data[2:4] + data[0:2]
        (folder / "train-00000.bin").write_bytes(data)
    with pytest.raises(IntegrityError, match=f"of another {part} "):
        base.run(inputs | {"token_shards": folder}, job, tmp_path / "out", local_context(tmp_path))


def test_watching_more_closely_is_the_same_training(inputs: dict[str, Path], tmp_path: Path) -> None:
    out, _ = _run(inputs, tmp_path / "a")
    watched = JOB.model_copy(
        update={"settings": SETTINGS.model_copy(update={"validate_every_steps": 2, "checkpoint_every_steps": 3})}
    )
    (tmp_path / "b").mkdir()
    base.run(inputs, watched, tmp_path / "b", local_context(tmp_path / "context"))
    assert _digests(out) == _digests(tmp_path / "b")


def test_the_recipes_of_this_repository_fit_the_stage() -> None:
    recipes = load_recipes(Path(__file__).parents[2] / "recipes")
    assert {"tiny-dense", "tiny-moe"} <= set(recipes)
    for recipe in recipes.values():
        assert base.Settings.model_validate(recipe.stages[0].settings).steps > 100
    mixture = recipes["tiny-moe"].model
    assert mixture.experts is not None
    assert mixture.experts_per_token is not None
    assert mixture.experts > mixture.experts_per_token
