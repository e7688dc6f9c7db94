"""Going on from weights: what is learned, what is forgotten, and that it is measured; here from a model of our own."""

import hashlib
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pydantic import ValidationError

from forge_dagster.errors import DataError
from forge_dagster.model import weights
from forge_dagster.model.folder import load_model
from forge_dagster.model.start import starting_model
from forge_dagster.model.weights_config import WeightsConfig
from forge_dagster.recipe import InheritedTokenizerSpec, ModelSpec, TokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.stages import base, continued, start
from forge_dagster.tokens import inherited, shards, tokenizer
from forge_dagster.tokens.mixture import CHECK_NAME
from forge_dagster.training.cost import read_cost
from forge_dagster.training.forgetting import FORGETTING
from forge_dagster.training.job import TrainingJob

SHAPE = ModelSpec(
    architecture="qwen3", hidden_size=48, intermediate_size=96, layers=2, heads=3, kv_heads=3, head_dim=16,
    tie_embeddings=False, rope_theta=10_000.0,
)  # fmt: skip
RATES = {
    "sequence_length": 32, "batch_tokens": 256, "warmup_share": 0.1, "decay_share": 0.5, "muon_lr": 0.02,
    "embedding_lr": 0.1, "head_lr": 0.02, "norm_lr": 0.01, "router_lr": 0.01, "muon_momentum": 0.9,
    "weight_decay": 0.0, "clip_norm": 1.0, "spike_sigmas": 6.0, "rewind_steps": 50,
    "validation_tokens": 10_000,
}  # fmt: skip
MIXTURE = {"sources": {"general": {"weight": 1, "epochs": 9}, "plant": {"weight": 3, "epochs": 9}}}
FURTHER = {**RATES, "tokens": 256 * 40, "muon_lr": 0.01, "mixture": MIXTURE, "replay": "general"}


def _text(source: str, chance: random.Random) -> str:
    if source == "general":
        who, what = ("cat", "dog", "bird", "farmer", "teacher"), ("trees", "houses", "clouds", "windows", "letters")
        return " ".join(f"The {chance.choice(who)} sees {chance.choice(what)}." for _ in range(30))
    return " ".join(f"Zorbelling {chance.choice(('vat', 'kiln'))} {chance.randint(1, 9)} quandixes." for _ in range(30))


def _corpus(folder: Path, sources: tuple[str, ...]) -> Path:
    folder.mkdir(parents=True)
    chance = random.Random(2)
    for split, count in (("train", 24), ("validation", 3)):
        rows = [
            {"id": f"{split}-{source}-{n}", "source": source, "language": "en", "text": _text(source, chance)}
            for source in sources
            for n in range(count)
        ]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}.parquet")
    return folder


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights trained on general text alone, and shards of both sources in their tokens."""
    root = tmp_path_factory.mktemp("continued")
    context = local_context(root / "context")
    made = {
        name: root / name for name in ("first_tokenizer", "first_shards", "model", "weights", "tokenizer", "shards")
    }
    for folder in made.values():
        folder.mkdir()
    general, both = _corpus(root / "general", ("general",)), _corpus(root / "both", ("general", "plant"))
    tokenizer.run({"corpus": general}, TokenizerSpec(kind="byte-bpe", vocab_size=300), made["first_tokenizer"], context)
    shards.run(
        {"corpus": general, "tokenizer": made["first_tokenizer"]}, shards.ShardsConfig(), made["first_shards"], context
    )
    job = TrainingJob[base.Settings](seed=1, model=SHAPE, settings=base.Settings(**RATES, tokens=256 * 40))
    first = {"tokenizer": made["first_tokenizer"], "token_shards": made["first_shards"]}
    base.run(first, job, made["model"], context)
    weights.run({"weights": made["model"]}, WeightsConfig(origin="here", licence="MIT"), made["weights"], context)
    spec = InheritedTokenizerSpec(kind="inherited", domain_tokens=8, domain_sources=("plant",))
    inherited.run({"corpus": both, "weights": made["weights"]}, spec, made["tokenizer"], context)
    shards.run({"corpus": both, "tokenizer": made["tokenizer"]}, shards.ShardsConfig(), made["shards"], context)
    return {"weights": made["weights"], "tokenizer": made["tokenizer"], "token_shards": made["shards"]}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_THREADS", "1")


def _run(inputs: dict[str, Path], folder: Path, **changes: object):
    job = TrainingJob[continued.Settings](
        seed=5, model=None, settings=continued.Settings.model_validate({**FURTHER, **changes})
    )
    (folder / "out").mkdir(parents=True)
    return folder / "out", continued.STAGE.run(inputs, job, folder / "out", local_context(folder))


def test_the_domain_is_learned_and_forgetting_measured(inputs: dict[str, Path], tmp_path: Path) -> None:
    out, report = _run(inputs, tmp_path / "one")
    figures = report.metrics
    assert figures["plant_bits_per_byte_after"] < figures["plant_bits_per_byte_before"] - 1
    assert figures["general_bits_per_byte_before"] < 1
    forgotten = figures["general_bits_per_byte_after"] - figures["general_bits_per_byte_before"]
    assert figures["forgotten_bits_per_byte"] == pytest.approx(forgotten)
    told = json.loads((out / FORGETTING).read_text())
    assert told["replay"] == "general"
    assert told["sources"]["plant"]["after"] == figures["plant_bits_per_byte_after"]
    findings = {finding.name: finding for finding in continued.STAGE.check(out)}
    assert set(findings) == set(continued.STAGE.check_names)
    assert all(finding.passed for finding in findings.values())
    shares = json.loads((out / base.MIXTURE).read_text())["sources"]
    assert shares["plant"]["realised"] == pytest.approx(0.75, abs=0.02)
    assert shares["plant"]["tokens"] + shares["general"]["tokens"] == 256 * 40

    again, _ = _run(inputs, tmp_path / "two")
    digests = [{p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in f.iterdir()} for f in (out, again)]
    assert digests[0] == digests[1]


def test_without_replay_every_source_is_scored_and_nothing_is_called_forgotten(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    out, report = _run(inputs, tmp_path, tokens=256 * 4, replay=None, mixture=None)
    told = json.loads((out / FORGETTING).read_text())
    assert told["replay"] is None
    assert set(told["sources"]) == {"general", "plant"}
    assert "forgotten_bits_per_byte" not in report.metrics


def test_a_start_is_the_weights_as_they_came(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = TrainingJob[start.Settings](seed=5, model=None, settings=start.Settings())
    start.STAGE.run(inputs, job, tmp_path, local_context(tmp_path / "context"))
    assert all(finding.passed for finding in start.STAGE.check(tmp_path))
    assert read_cost(tmp_path) == (0, 0)
    expected, found = starting_model(inputs["weights"], inputs["tokenizer"]), load_model(tmp_path)
    assert all(torch.equal(mine, found.state_dict()[name]) for name, mine in expected.state_dict().items())


def test_a_share_that_was_not_kept_fails_its_check(inputs: dict[str, Path], tmp_path: Path) -> None:
    out, _ = _run(inputs, tmp_path, tokens=256 * 4)
    told = json.loads((out / base.MIXTURE).read_text())
    told["sources"]["plant"]["realised"] -= 0.05
    (out / base.MIXTURE).write_text(json.dumps(told))
    finding = next(each for each in continued.STAGE.check(out) if each.name == CHECK_NAME)
    assert finding.blocking
    assert not finding.passed
    assert list(finding.observed["apart"]) == ["plant"]


def test_a_source_without_held_out_text_is_refused(inputs: dict[str, Path], tmp_path: Path) -> None:
    bare = _corpus(tmp_path / "corpus", ("general", "plant"))
    held_out = pq.read_table(bare / "validation.parquet")
    pq.write_table(held_out.slice(3), bare / "validation.parquet")
    (tmp_path / "shards").mkdir()
    made = {"corpus": bare, "tokenizer": inputs["tokenizer"]}
    shards.run(made, shards.ShardsConfig(), tmp_path / "shards", local_context(tmp_path / "c"))
    with pytest.raises(DataError, match="source general has no validation document"):
        _run({**inputs, "token_shards": tmp_path / "shards"}, tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"replay": "nowhere"}, "replay = 'nowhere'"),
        ({"mixture": {"sources": {"general": {"weight": 1, "epochs": 1}}}}, "and to another one"),
        ({"mixture": {"sources": {**MIXTURE["sources"], "general": {"weight": 0, "epochs": 1}}}}, "replay = 'general'"),
        ({"mixture": None}, "mixture"),
    ],
)
def test_a_recipe_without_replay_is_refused(changes: dict, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        continued.Settings.model_validate({**FURTHER, "tokens": 2560, **changes})
    without = {name: value for name, value in FURTHER.items() if name != "replay"}
    with pytest.raises(ValidationError, match="replay"):
        continued.Settings.model_validate(without)
