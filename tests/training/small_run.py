"""A small corpus as the inputs of the base stage, and the mixture of experts and the settings that learn from it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.recipe import ModelSpec, TokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.stages import base
from forge_dagster.tokens import shards, tokenizer
from forge_dagster.training.settings import Settings

SPEC = ModelSpec(
    architecture="qwen3_moe", hidden_size=32, intermediate_size=32, layers=2, heads=2, kv_heads=1, head_dim=16,
    tie_embeddings=False, rope_theta=10_000.0, experts=4, experts_per_token=2,
)  # fmt: skip
TEXT = "Pump {0} feeds valve {1} of boiler {0}. The night shift of {1} ends at {0}, as the manual says.\n"
BATCH_TOKENS = 128


def settings(*, steps: int, **changes: Any) -> Settings:
    """Settings of so many steps."""
    return Settings(
        **{
            "sequence_length": 32, "batch_tokens": BATCH_TOKENS, "tokens": BATCH_TOKENS * steps, "warmup_share": 0.1,
            "decay_share": 0.5, "muon_lr": 0.02, "embedding_lr": 0.1, "head_lr": 0.02, "norm_lr": 0.01,
            "router_lr": 0.01, "muon_momentum": 0.9, "weight_decay": 0.0, "clip_norm": 1.0, "spike_sigmas": 6.0,
            "rewind_steps": 10, "validation_tokens": 10_000, **changes,
        }
    )  # fmt: skip


def inputs_of(root: Path, *, documents: int) -> dict[str, Path]:
    """Corpus, tokenizer and token shards of so many training documents and three of validation."""
    context = local_context(root / "context")
    folders = {name: root / name for name in ("corpus", "tokenizer", "token_shards")}
    for folder in folders.values():
        folder.mkdir()
    for split, count in (("train", documents), ("validation", 3)):
        rows = [
            {"id": f"{split}{n}", "source": "s", "text": "".join(TEXT.format(n % 7, (n + i) % 9) for i in range(20))}
            for n in range(count)
        ]
        pq.write_table(pa.Table.from_pylist(rows), folders["corpus"] / f"{split}.parquet")
    tokenizer.run(folders, TokenizerSpec(kind="byte-bpe", vocab_size=300), folders["tokenizer"], context)
    shards.run(folders, shards.ShardsConfig(), folders["token_shards"], context)
    return {name: folders[name] for name in ("tokenizer", *base.NEEDS)}
