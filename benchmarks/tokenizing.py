"""Making token shards against the tokenizers library encoding the same texts in memory, on the same cores."""

import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks._table import paired, show
from forge_dagster.home import PROJECT
from forge_dagster.recipe import TokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.tokens import shards, tokenizer
from forge_dagster.tokens.encoding import load_encoder

SIZE = 4 << 20  # bytes of text
ROUNDS = 5


def _corpus(folder: Path) -> tuple[list[str], int]:
    """The sample company's documents over and over, each with words of its own; as texts and as a corpus."""
    plain = [path.read_text(encoding="utf-8") for path in sorted((PROJECT / "data/sample").rglob("*.md"))]
    texts: list[str] = []
    size = 0
    while size < SIZE:
        number = len(texts)
        texts.append(f"Document {number} of order {number * 7919:x}.\n\n{plain[number % len(plain)]}")
        size += len(texts[-1].encode())
    rows = [
        {"id": str(number), "source": "sample", "language": "en", "text": text} for number, text in enumerate(texts)
    ]
    for split, part in (("train", rows[:-20]), ("validation", rows[-20:])):
        pq.write_table(pa.Table.from_pylist(part), folder / f"{split}.parquet", compression="zstd")
    return texts, size


def main() -> None:
    """Print how much longer reading Parquet, encoding and writing shards takes than encoding alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folders = {part: folder / part for part in ("corpus", "tokenizer", "shards")}
        for path in folders.values():
            path.mkdir()
        texts, size = _corpus(folders["corpus"])
        context = local_context(folder / "context")
        tokenizer.run(folders, TokenizerSpec(kind="byte-bpe", vocab_size=2048), folders["tokenizer"], context)
        encoder = load_encoder(folders["tokenizer"])

        def ours() -> None:
            shards.run(folders, shards.ShardsConfig(), folders["shards"], context)

        def fast() -> list[list[int]]:
            return [encoding.ids for encoding in encoder.encode_batch_fast(texts, add_special_tokens=False)]

        def usual() -> list[list[int]]:
            return [encoding.ids for encoding in encoder.encode_batch(texts, add_special_tokens=False)]

        rows = [
            ("encode_batch_fast", *paired(ours, fast, ROUNDS)),
            ("encode_batch", *paired(ours, usual, ROUNDS)),
            ("encode_batch_fast, processor", *paired(ours, fast, ROUNDS, time.process_time)),
        ]
    show(f"Token shards of {size >> 20} MiB in {len(texts):,} documents", rows, peer="tokenizers")
