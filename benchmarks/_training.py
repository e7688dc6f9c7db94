"""What the training benchmarks share: documents as token shards, models of two sizes, and transformers.Trainer."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.recipe import ModelSpec, TokenizerSpec, load_recipe
from forge_dagster.sample.generate import generate
from forge_dagster.stage import NoConfig, local_context
from forge_dagster.tokens import shards, tokenizer
from forge_dagster.training.settings import Settings

SEED = 1
VOCABULARY = 2048
LENGTH = 256
BATCH_TOKENS = 4096
DOCUMENTS = 3000
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
CLOCK_HELP = "cpu: processor seconds, for a machine that others use too; set FORGE_THREADS=1 with it"
RECIPE = Path(__file__).parents[1] / "recipes" / "tiny-dense.yaml"
SHAPES = {
    "5M": {"hidden_size": 256, "intermediate_size": 704, "layers": 6, "heads": 4, "kv_heads": 4},
    "50M": {"hidden_size": 768, "intermediate_size": 2048, "layers": 7, "heads": 12, "kv_heads": 12},
}


def spec(size: str) -> ModelSpec:
    """The model of recipes/tiny-dense.yaml at about so many parameters."""
    return shape().model_copy(update=SHAPES[size])


def shape() -> ModelSpec:
    """The model of recipes/tiny-dense.yaml."""
    found = load_recipe(RECIPE).model
    assert found is not None, "tiny-dense is made from scratch"
    return found


def settings(**changes: Any) -> Settings:
    """The settings of recipes/tiny-dense.yaml with these changes."""
    given = load_recipe(RECIPE).stages[0].settings
    return Settings.model_validate({**given, "sequence_length": LENGTH, "batch_tokens": BATCH_TOKENS, **changes})


@contextmanager
def token_shards(documents: Path | None) -> Iterator[Path]:
    """Token shards of the .txt and .md files under `documents`, every tenth held out; else of a sample company."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        if documents is None:
            generate(DOCUMENTS, SEED, root / "sample")
            documents = root / "sample" / "documents"
        found = sorted(path for path in documents.rglob("*") if path.suffix in (".txt", ".md"))
        for folder in ("corpus", "tokenizer", "shards"):
            (root / folder).mkdir()
        rows = [
            {"id": str(number), "source": "text", "text": path.read_text(encoding="utf-8", errors="replace")}
            for number, path in enumerate(found)
        ]
        for split, part in (("validation", rows[::10]), ("train", [row for n, row in enumerate(rows) if n % 10])):
            pq.write_table(pa.Table.from_pylist(part), root / "corpus" / f"{split}.parquet")
        context = local_context(root / "context")
        inputs = {"corpus": root / "corpus", "tokenizer": root / "tokenizer"}
        tokenizer.run(inputs, TokenizerSpec(kind="byte-bpe", vocab_size=VOCABULARY), root / "tokenizer", context)
        shards.run(inputs, NoConfig(), root / "shards", context)
        yield root / "shards"


def trainer(model: Any, folder: Path, data: Path, *, steps: int, rows: int, **arguments: Any) -> Any:
    """transformers.Trainer over the same tokens, in rows of LENGTH; all but what is given is its default."""
    import torch
    from transformers import Trainer, TrainingArguments

    from forge_dagster.tokens.reader import open_documents

    tokens = open_documents(data, "train").shards[0]

    class Rows(torch.utils.data.Dataset[dict[str, Any]]):
        def __len__(self) -> int:
            return len(tokens) // LENGTH

        def __getitem__(self, number: int) -> dict[str, Any]:
            row = torch.from_numpy(tokens[number * LENGTH : (number + 1) * LENGTH].astype("int64"))
            return {"input_ids": row, "labels": row.clone()}

    given = TrainingArguments(
        output_dir=str(folder), max_steps=steps, per_device_train_batch_size=rows, save_strategy="no", report_to=[],
        disable_tqdm=True, logging_strategy="no", use_cpu=True, **arguments,
    )  # fmt: skip
    return Trainer(model=model, args=given, train_dataset=Rows())
