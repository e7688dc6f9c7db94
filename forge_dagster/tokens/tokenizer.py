"""Hop 7: a byte-level BPE tokenizer (Sennrich et al. 2016, Radford et al. 2019) trained on the corpus."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet as pq
from tokenizers import Tokenizer

from forge_dagster.errors import DataError
from forge_dagster.recipe import TokenizerSpec
from forge_dagster.stage import Finding, Report, Stage, StageContext
from forge_dagster.tokens.bpe import trained
from forge_dagster.tokens.control import CHAT_TEMPLATE, CONTROL, END_OF_TEXT, PAD
from forge_dagster.tokens.encoding import encode_batch, load_encoder

BATCH = 256
"""Documents in memory at a time."""

PROBES = (
    "The rate is 20.5 % of 1,000,000 units.\n\n\tTabs, spaces   and line ends\r\n",
    "Grüße, 日本語, русский, עברית, 🏭🔧, e\u0301, \u200b\ufeff\x00",
    *CONTROL,
    "".join(CONTROL),
    "".join(map(chr, range(32, 127))),
    "a<|user|>b <|end|>\n<|assistant|>",
)
CHECK_NAMES = ("control_tokens_reserved", "round_trip", "text_never_becomes_control")


def run(inputs: Mapping[str, Path], config: TokenizerSpec, out: Path, context: StageContext) -> Report:
    """Train on corpus train.parquet; write tokenizer.json, tokenizer_config.json and report.json.

    Raises DataError if the text supports fewer tokens than the vocabulary asks for.
    """
    train = inputs["corpus"] / "train.parquet"
    total = pq.ParquetFile(train).metadata.num_rows
    tokenizer = trained(_texts(train, context, total), vocab_size=config.vocab_size)
    learned = tokenizer.get_vocab_size()
    if learned < config.vocab_size:
        raise DataError(
            f"vocab_size = {config.vocab_size}, but the {total} training documents support {learned} tokens",
            rule="every merge occurs at least twice in the text",
            mend=f"lower tokenizer.vocab_size to {learned} or less, or add documents",
        )
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "tokenizer_config.json").write_text(_canonical(_transformers_config()), encoding="utf-8")
    by_source = _measure(load_encoder(out), train)
    sums = {key: sum(row[key] for row in by_source.values()) for key in ("documents", "bytes", "tokens")}
    bytes_per_token = round(sums["bytes"] / max(sums["tokens"], 1), 4)
    report = {
        "vocab_size": learned,
        "bytes_per_token": bytes_per_token,
        "sources": {
            name: {**row, "bytes_per_token": round(row["bytes"] / max(row["tokens"], 1), 4)}
            for name, row in sorted(by_source.items())
        },
    }
    (out / "report.json").write_text(_canonical(report), encoding="utf-8")
    return Report(counts={"documents": total, "vocab_size": learned}, metrics={"bytes_per_token": bytes_per_token})


def check(content: Path) -> list[Finding]:
    """Judge a tokenizer: control tokens at their ids, exact round trip, and no way from text to a control token."""
    encoder = load_encoder(content)
    ids = {token: encoder.token_to_id(token) for token in CONTROL}
    encoded = encode_batch(encoder, PROBES)
    lossy = [
        probe
        for probe, row in zip(PROBES, encoded, strict=True)
        if encoder.decode(row, skip_special_tokens=False) != probe
    ]
    escaped = [probe for probe, row in zip(PROBES, encoded, strict=True) if any(token < len(CONTROL) for token in row)]
    return [
        Finding(name=CHECK_NAMES[0], passed=list(ids.values()) == list(range(len(CONTROL))), observed={"ids": ids}),
        Finding(name=CHECK_NAMES[1], passed=not lossy, observed={"lossy": lossy}),
        Finding(name=CHECK_NAMES[2], passed=not escaped, observed={"escaped": escaped}),
    ]


def _texts(train: Path, context: StageContext, total: int) -> Iterator[list[str]]:
    done = 0
    for batch in pq.ParquetFile(train).iter_batches(batch_size=BATCH, columns=["text"]):
        yield batch.column("text").to_pylist()
        done += batch.num_rows
        context.progress(done, total, "documents read")


def _measure(encoder: Tokenizer, train: Path) -> dict[str, Counter[str]]:
    by_source: dict[str, Counter[str]] = {}
    for batch in pq.ParquetFile(train).iter_batches(batch_size=BATCH, columns=["source", "text"]):
        texts = batch.column("text").to_pylist()
        for source, text, ids in zip(
            batch.column("source").to_pylist(), texts, encode_batch(encoder, texts), strict=True
        ):
            row = {"documents": 1, "bytes": len(text.encode()), "tokens": len(ids)}
            by_source.setdefault(source, Counter()).update(row)
    return by_source


def _transformers_config() -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": END_OF_TEXT,
        "pad_token": PAD,
        "model_max_length": 1_000_000_000,  # the model's limit stands in its config.json
    }


def _canonical(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES)
