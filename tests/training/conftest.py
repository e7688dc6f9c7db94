"""Token shards of a small corpus, written as the shards stage does."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.recipe import MOE, ModelSpec, TokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.tokens import shards, tokenizer
from forge_dagster.training.precision import thread_limit
from forge_dagster.training.settings import Settings

VOCABULARY = 300
THINGS = ("the pump", "a valve", "the boiler", "one tank", "the mixer", "a filter", "the crane", "our press")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small gain nothing from threads, and lose much where cores are busy."""
    with thread_limit(1):
        yield


@pytest.fixture(scope="session")
def shards_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty training and four validation documents of plain sentences, 300 tokens of vocabulary."""
    root, chance = tmp_path_factory.mktemp("data"), random.Random(5)
    for name in ("corpus", "tokenizer", "shards"):
        (root / name).mkdir()
    for split, count in (("train", 40), ("validation", 4)):
        texts = [
            " ".join(
                f"{chance.choice(THINGS)} {chance.randint(1, 9)} feeds {chance.choice(THINGS)}." for _ in range(20)
            )
            for _ in range(count)
        ]
        rows = [
            {"id": f"{split}-{number}", "source": "s", "path": str(number), "title": "", "text": text}
            for number, text in enumerate(texts)
        ]
        pq.write_table(pa.Table.from_pylist(rows), root / "corpus" / f"{split}.parquet")
    context = local_context(root / "context")
    spec = TokenizerSpec(kind="byte-bpe", vocab_size=VOCABULARY)
    tokenizer.run({"corpus": root / "corpus"}, spec, root / "tokenizer", context)
    inputs = {"corpus": root / "corpus", "tokenizer": root / "tokenizer"}
    shards.run(inputs, shards.ShardsConfig(), root / "shards", context)
    return root / "shards"


@pytest.fixture
def spec() -> ModelSpec:
    return small_spec("qwen3")


@pytest.fixture(params=["qwen3", "qwen3_moe"])
def dense_or_mixture(request: pytest.FixtureRequest) -> ModelSpec:
    return small_spec(request.param)


@pytest.fixture
def spec_of() -> Callable[[str], ModelSpec]:
    """Small models by architecture."""
    return small_spec


def small_spec(architecture: str) -> ModelSpec:
    experts = {"experts": 4, "experts_per_token": 2} if architecture in MOE else {}
    return ModelSpec.model_validate(
        {
            "architecture": architecture, "hidden_size": 32, "intermediate_size": 48, "layers": 2, "heads": 2,
            "kv_heads": 1, "head_dim": 16, "tie_embeddings": False, "rope_theta": 10_000.0, **experts,
        }
    )  # fmt: skip


@pytest.fixture
def settings() -> Settings:
    """Twelve steps of four rows of 32 tokens."""
    return Settings.model_validate(
        {
            "sequence_length": 32, "batch_tokens": 128, "tokens": 128 * 12, "warmup_share": 0.1, "decay_share": 0.4,
            "muon_lr": 0.02, "embedding_lr": 0.1, "head_lr": 0.02, "norm_lr": 0.01, "router_lr": 0.01,
            "muon_momentum": 0.9, "weight_decay": 0.01, "clip_norm": 1.0, "spike_sigmas": 6.0, "rewind_steps": 4,
            "validation_tokens": 100_000,
        }
    )  # fmt: skip
