"""A small corpus, its tokenizer and its shards, made once by the real stages."""

import hashlib
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.recipe import TokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.tokens import shards, tokenizer


def write_corpus(folder: Path, *, train: int, validation: int) -> Path:
    """Write `train` and `validation` documents of 20 to 80 sentences."""
    folder.mkdir()
    chance = random.Random(7)
    words = ["valve", "pump", "order", "Grüße", "report", "shift", "pressure", "12.5", "7,000", "<|user|>", "日本"]
    for split, count in (("train", train), ("validation", validation)):
        rows = []
        for number in range(count):
            sentences = chance.randint(20, 80)
            text = " ".join(f"The {chance.choice(words)} of line {chance.randint(1, 99)} is {chance.choice(words)}.\n"
                            for _ in range(sentences))  # fmt: skip
            rows.append(
                {
                    "id": hashlib.sha256(text.encode()).hexdigest(),
                    "source": ("plant", "office")[number % 2],
                    "path": f"{split}/{number}.txt",
                    "title": "",
                    "language": ("en", "en", "de")[number % 3],
                    "text": text,
                }
            )
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}.parquet")
    return folder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "content", train=40, validation=4)


@pytest.fixture(scope="session")
def tokenizer_folder(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tokenizer")
    spec = TokenizerSpec(kind="byte-bpe", vocab_size=320)
    tokenizer.run({"corpus": corpus}, spec, out, local_context(tmp_path_factory.mktemp("context")))
    return out


@pytest.fixture(scope="session")
def shards_folder(corpus: Path, tokenizer_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shards")
    inputs = {"corpus": corpus, "tokenizer": tokenizer_folder}
    shards.run(inputs, shards.ShardsConfig(), out, local_context(tmp_path_factory.mktemp("context")))
    return out
