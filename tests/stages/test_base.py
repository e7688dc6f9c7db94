"""The base stage end to end: a folder that anything can load, the same bytes again, resumed after an interruption."""

import hashlib
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from forge_dagster.errors import InterruptedRun
from forge_dagster.recipe import ModelSpec, TokenizerSpec, load_recipes
from forge_dagster.stage import LocalContext, NoConfig, Report, local_context
from forge_dagster.stages import base
from forge_dagster.tokens import shards, tokenizer
from forge_dagster.training.job import TrainingJob

SPEC = ModelSpec(
    architecture="qwen3_moe", hidden_size=32, intermediate_size=32, layers=2, heads=2, kv_heads=1, head_dim=16,
    tie_embeddings=False, rope_theta=10_000.0, experts=4, experts_per_token=2,
)  # fmt: skip
SETTINGS = base.Settings(
    sequence_length=32, batch_tokens=128, tokens=128 * 25, warmup_share=0.1, decay_share=0.5, muon_lr=0.02,
    embedding_lr=0.1, head_lr=0.02, norm_lr=0.01, router_lr=0.01, muon_momentum=0.9, weight_decay=0.0,
    validation_tokens=10_000,
)  # fmt: skip
JOB = TrainingJob[base.Settings](seed=3, model=SPEC, settings=SETTINGS)


class Stopped(LocalContext):
    """Is told to stop from the seventh step on."""

    def cancelled(self) -> bool:
        return self.seen[-1][0] >= 7


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("inputs")
    context = local_context(root / "context")
    folders = {name: root / name for name in ("corpus", "tokenizer", "token_shards")}
    for folder in folders.values():
        folder.mkdir()
    for split, count in (("train", 30), ("validation", 3)):
        text = "Pump {0} feeds valve {1} of boiler {0}. The night shift of {1} ends at {0}, as the manual says.\n"
        rows = [
            {"id": f"{split}{n}", "source": "s", "text": "".join(text.format(n % 7, (n + i) % 9) for i in range(20))}
            for n in range(count)
        ]
        pq.write_table(pa.Table.from_pylist(rows), folders["corpus"] / f"{split}.parquet")
    tokenizer.run(folders, TokenizerSpec(kind="byte-bpe", vocab_size=300), folders["tokenizer"], context)
    shards.run(folders, NoConfig(), folders["token_shards"], context)
    return {name: folders[name] for name in ("tokenizer", *base.NEEDS)}


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
    assert all(finding.passed for finding in base.check(out))
    assert report.counts["steps"] == 25
    assert report.counts["tokens"] == 128 * 25
    assert report.metrics["loss"] < math.log(300) - 1
    uniform = math.log2(300) / 3  # of about 3 bytes a token
    assert 0 < report.metrics["validation_bits_per_byte"] < uniform
    beside = tmp_path / "straight" / "beside"
    assert (beside / "log.csv").read_text().startswith("step,tokens,loss,lr,grad_norm,tokens_per_second\n0,128,")
    assert (beside / "loss.png").stat().st_size < 60_000

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
    complete, finite = base.check(out)
    assert (complete.name, finite.name) == base.CHECK_NAMES
    assert complete.observed == {"missing": ["generation_config.json"]}
    assert finite.observed == {"not_finite": ["lm_head.weight"]}
    assert not complete.passed
    assert not finite.passed


def test_the_recipes_of_this_repository_fit_the_stage() -> None:
    recipes = load_recipes(Path(__file__).parents[2] / "recipes")
    assert {"tiny-dense", "tiny-moe"} <= set(recipes)
    for recipe in recipes.values():
        settings = base.Settings.model_validate(recipe.stages[0].settings)
        assert settings.steps > 100
    mixture = recipes["tiny-moe"].model
    assert mixture.experts is not None
    assert mixture.experts_per_token is not None
    assert mixture.experts > mixture.experts_per_token
