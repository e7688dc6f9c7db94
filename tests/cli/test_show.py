"""`forge show --step`: the documents of a step, computed from the record; and shards that are no longer as recorded."""

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from forge_dagster.cli.main import app
from forge_dagster.errors import IntegrityError, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.build import Built, External, Order, build
from forge_dagster.provenance.files import sha256_file
from forge_dagster.provenance.run import Run
from forge_dagster.recipe import ModelSpec, TokenizerSpec
from forge_dagster.stage import FrozenModel
from forge_dagster.stages import base
from forge_dagster.tokens import shards
from forge_dagster.tokens.reader import open_documents
from forge_dagster.training.job import TrainingJob

SHAPE = ModelSpec(
    architecture="qwen3", hidden_size=16, intermediate_size=16, layers=1, heads=1, kv_heads=1, head_dim=16,
    tie_embeddings=False, rope_theta=10_000.0,
)  # fmt: skip
SETTINGS = base.Settings.model_validate(
    {
        "sequence_length": 32, "batch_tokens": 128, "tokens": 128 * 60, "warmup_share": 0.1, "decay_share": 0.5,
        "muon_lr": 0.02, "embedding_lr": 0.1, "head_lr": 0.02, "norm_lr": 0.01, "router_lr": 0.01,
        "muon_momentum": 0.9, "weight_decay": 0.0, "clip_norm": 1.0, "spike_sigmas": 6.0, "rewind_steps": 50,
        "validation_tokens": 10_000,
        "mixture": {"sources": {"notes": {"weight": 1, "epochs": 99}, "plant": {"weight": 2, "epochs": 99}}},
    }
)  # fmt: skip
WORDS = ("pump", "valve", "boiler", "filter", "crane", "press", "mixer", "tank")


@pytest.fixture
def make_step(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Built]:
    """Builds `tokenizer`, `token_shards` or `base` of a small corpus in a home; shards are of 1,000 tokens."""
    monkeypatch.setenv("FORGE_THREADS", "1")
    monkeypatch.setattr(shards, "SHARD_TOKENS", 1000)
    chance, corpus = random.Random(3), tmp_path / "corpus"
    corpus.mkdir()
    for split, count in (("train", 30), ("validation", 2)):
        rows = [
            {"id": f"{split}{n}", "source": ("plant", "notes")[n % 2], "language": "en",
             "text": " ".join(f"A {chance.choice(WORDS)} near {chance.choice(WORDS)}." for _ in range(15))}
            for n in range(count)
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), corpus / f"{split}.parquet")
    read = {"corpus": External(what="corpus", measure=partial(sha256_file, corpus / "train.parquet"), path=corpus)}
    steps: dict[str, tuple[str, dict[str, str], dict[str, External], FrozenModel]] = {
        "tokenizer": ("forge_dagster.tokens.tokenizer", {}, read, TokenizerSpec(kind="byte-bpe", vocab_size=300)),
        "token_shards": ("forge_dagster.tokens.shards", {"tokenizer": "tokenizer/t"}, read, shards.ShardsConfig()),
        "base": (
            "forge_dagster.stages.base",
            {"tokenizer": "tokenizer/t", "token_shards": "token_shards/t"},
            {},
            TrainingJob[base.Settings](seed=7, model=SHAPE, settings=SETTINGS),
        ),
    }
    numbers = iter(range(100))

    def one(name: str) -> Built:
        module, inputs, external, config = steps[name]
        key = "nano/base_checkpoint" if name == "base" else f"{name}/t"
        run = Run(home, f"run{next(numbers)}")
        run.freeze({})
        order = Order(key=key, module=module, inputs=inputs, external=external, config=config, numerics={})
        return build(run, order, actor="user:test", say=lambda _: None)

    return one


def test_the_documents_of_a_step_are_computed(make_step: Callable[[str], Built]) -> None:
    made = {name: make_step(name) for name in ("tokenizer", "token_shards", "base")}
    result = CliRunner().invoke(app, ["show", "nano/base_checkpoint", "--step", "41", "--json"], catch_exceptions=False)
    told = json.loads(result.stdout)
    assert (told["digest"], told["step"]) == (made["base"].record.digest, 41)
    content = made["token_shards"].folder / "content"
    index = pq.read_table(content / "documents.parquet").to_pylist()
    by_id = {row["document"]: row for row in index if row["split"] == "train"}
    assert len({row["row"] for row in told["reads"]}) == SETTINGS.rows
    assert sum(row["tokens"] for row in told["reads"]) == SETTINGS.batch_tokens
    documents = open_documents(content, "train")
    for row in told["reads"]:
        assert by_id[row["document"]]["source"] == row["source"]
        assert row["start"] + row["tokens"] <= by_id[row["document"]]["length"]
        assert row["document"] in [f"train{n}" for n in range(30)]
    assert len(documents.lengths) == 30
    table = CliRunner().invoke(app, ["show", "nano/base_checkpoint", "--step", "41"], catch_exceptions=False).stdout
    assert told["reads"][0]["document"] in table

    for arguments, expected in (
        (["nano/base_checkpoint", "--step", "60"], "has the steps 0 to 59"),
        (["nano/base_checkpoint", "--step", "-1"], "has the steps 0 to 59"),
        (["tokenizer/t", "--step", "0"], "name a base or continued checkpoint"),
    ):
        with pytest.raises(UserError, match=expected):
            CliRunner().invoke(app, ["show", *arguments], catch_exceptions=False)


def _flip(content: Path) -> None:
    path = content / "train-00001.bin"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


def _swap(content: Path) -> None:
    first, second = content / "train-00000.bin", content / "train-00001.bin"
    first.rename(content / "aside")
    second.rename(first)
    (content / "aside").rename(second)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped": (_flip, "train-00001.bin"),
    "truncated": (lambda content: (content / "train-00001.bin").open("r+b").truncate(40), "train-00001.bin"),
    "swapped": (_swap, "train-00000.bin"),
    "missing": (lambda content: (content / "train-00002.bin").unlink(), "train-00002.bin"),
    "added": (lambda content: (content / "train-00009.bin").write_bytes(b"\0\0"), "train-00009.bin"),
    "stale index": (lambda content: (content / "meta.json").write_text("{}"), "meta.json"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoiled_shard_is_never_trained_on(make_step: Callable[[str], Built], home: Home, fault: str) -> None:
    spoil, name = FAULTS[fault]
    make_step("tokenizer")
    spoil(make_step("token_shards").folder / "content")
    with pytest.raises(IntegrityError, match=f"{name} differs from its record"):
        make_step("base")
    assert not (home.artifacts / "nano/base_checkpoint" / "CURRENT").exists()
