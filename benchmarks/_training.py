"""What the training benchmarks share: token shards, two sizes of model, the project's loop, transformers.Trainer."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.corpus.parsers import html
from forge_dagster.recipe import ModelSpec, TokenizerSpec, load_recipe
from forge_dagster.sample.generate import generate
from forge_dagster.stage import local_context
from forge_dagster.tokens import shards, tokenizer
from forge_dagster.training.settings import Settings

SEED = 1
VOCABULARY = 2048
LENGTH = 256
BATCH_TOKENS = 4096
DOCUMENTS = 3000
TEST_TOKENS = 600_000
ROWS_AT_ONCE = 32
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
CLOCK_HELP = "cpu: processor seconds, for a machine that others use too; set FORGE_THREADS=1 with it"
RECIPE = Path(__file__).parents[1] / "recipes" / "tiny-dense.yaml"
SHAPES = {
    "5M": {"hidden_size": 256, "intermediate_size": 704, "layers": 6, "heads": 4, "kv_heads": 4},
    "4M": {"hidden_size": 256, "intermediate_size": 768, "layers": 4, "heads": 2, "kv_heads": 2, "head_dim": 128},
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
def token_shards(documents: Path | None, *, tuning: bool = False) -> Iterator[Path]:
    """Token shards of the .txt, .md and .html files under `documents`, every tenth held out; else of a sample company.

    With `tuning` those held out are left away, and every tenth of the others is held out instead.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        if documents is None:
            generate(DOCUMENTS, SEED, root / "sample")
            documents = root / "sample" / "documents"
        found = sorted(path for path in documents.rglob("*") if path.suffix in (".txt", ".md", ".html"))
        for folder in ("corpus", "tokenizer", "shards"):
            (root / folder).mkdir()
        rows = [{"id": str(number), "source": "text", "text": _text(path)} for number, path in enumerate(found)]
        if tuning:
            rows = [row for number, row in enumerate(rows) if number % 10]
        for split, part in (("validation", rows[::10]), ("train", [row for n, row in enumerate(rows) if n % 10])):
            pq.write_table(pa.Table.from_pylist(part), root / "corpus" / f"{split}.parquet")
        context = local_context(root / "context")
        inputs = {"corpus": root / "corpus", "tokenizer": root / "tokenizer"}
        tokenizer.run(inputs, TokenizerSpec(kind="byte-bpe", vocab_size=VOCABULARY), root / "tokenizer", context)
        shards.run(inputs, shards.ShardsConfig(), root / "shards", context)
        yield root / "shards"


def _text(path: Path) -> str:
    if path.suffix == ".html":
        return html.parse(path.read_bytes()).text
    return path.read_text(encoding="utf-8", errors="replace")


def ours(data: Path, steps: int, *, size: str = "5M", **changes: Any) -> Any:
    """Train a model of this size by the project's loop; `changes` are to the settings of the recipe."""
    from forge_dagster.model.build import build_model
    from forge_dagster.tokens.reader import open_documents
    from forge_dagster.training.execution import execution
    from forge_dagster.training.learner import Learner
    from forge_dagster.training.loop import pretrain

    documents = open_documents(data, "train")
    model = build_model(spec(size), vocab_size=documents.vocab_size, positions=LENGTH, seed=SEED)
    given = {"batch_tokens": BATCH_TOKENS, "validate_every_steps": steps, **changes}
    wanted = settings(**given, tokens=steps * given["batch_tokens"])
    with tempfile.TemporaryDirectory() as folder:
        pretrain(
            Learner(model, documents, wanted, execution()),
            seed=SEED,
            identity={},
            context=local_context(Path(folder)),
            validate=dict,
        )
    return model


def bits_per_byte(data: Path, most_tokens: int, nats: Callable[[Any, Any], float]) -> float:
    """Bits per byte of the first held-out documents; `nats` tells what labels cost after inputs, [rows, LENGTH] each.

    Documents are read whole in windows of LENGTH tokens, each a row of its own that nothing stands before.
    """
    import torch

    from forge_dagster.tokens.order import Span
    from forge_dagster.tokens.reader import open_documents
    from forge_dagster.training.batches import pack

    documents = open_documents(data, "validation")
    count = int((documents.lengths.cumsum() <= most_tokens).sum())
    assert count, f"the first document held out alone has {documents.lengths[0]} tokens"
    windows = [
        [Span(number, start, min(LENGTH, int(length) - start))]
        for number, length in enumerate(documents.lengths[:count])
        for start in range(0, int(length), LENGTH)
    ]
    total = 0.0
    with torch.inference_mode():
        for begin in range(0, len(windows), ROWS_AT_ONCE):
            batch = pack(documents, windows[begin : begin + ROWS_AT_ONCE], LENGTH)
            total += nats(batch.inputs, batch.labels)
    return total / math.log(2) / int(documents.sizes[:count].sum())


def seconds_of(train: Callable[[], Any], clock: Callable[[], float]) -> float:
    """How long that takes by the clock."""
    begun = clock()
    train()
    return clock() - begun


def steps_in(seconds: float, took: Callable[[int], float], *, trial: int) -> int:
    """Steps that fit; `took` tells the seconds of so many, and a trial of twice the length takes their start off."""
    took(1)  # imports what the others find imported
    short, long = took(trial), took(2 * trial)
    return max(int(seconds / ((long - short) / trial)), 1)


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
