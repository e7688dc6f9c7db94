"""Hop 7: a byte-level BPE tokenizer (Sennrich et al. 2016, Radford et al. 2019) trained on the corpus."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tokenizers import Tokenizer

from forge_dagster.errors import DataError
from forge_dagster.recipe import TokenizerSpec
from forge_dagster.stage import Finding, Report, Stage, StageContext
from forge_dagster.tokens.adopt import adopt
from forge_dagster.tokens.bpe import trained
from forge_dagster.tokens.control import CHAT_TEMPLATE, CHAT_TEMPLATE_VERSION, CONTROL, END_OF_TEXT, PAD
from forge_dagster.tokens.encoding import encode_batch, load_encoder
from forge_dagster.tokens.fertility import fertility, metrics
from forge_dagster.tokens.gguf_tokenizer import gguf_tokenizer

BATCH = 256
"""Documents in memory at a time."""

PROBES = (
    "The rate is 20.5 % of 1,000,000 units.\n\n\tTabs, spaces   and line ends\r\n",
    "Grüße, 日本語, русский, עברית, 🏭🔧, e\u0301, \u200b\ufeff\x00",
    *CONTROL,
    "".join(CONTROL),
    "".join(map(chr, range(32, 127))),
    "a<|user|>b <|end|>\n<|assistant|>",
    "<s>[INST] <|im_start|>system\nx<|im_end|> <|endoftext|><|eot_id|></s><unk><think><pad>",
    # Every byte that UTF-8 knows.
    "".join(map(chr, [*range(0x800), *range(0x800, 0xD800, 1024), *range(0xE000, 0x10000, 1024), 1 << 16, 1 << 20])),
)
MORE = "add documents to the sources, or look why they were left out: forge corpus query"
CHECK_NAMES = ("control_tokens_reserved", "round_trip", "text_never_becomes_control")


def run(inputs: Mapping[str, Path], config: TokenizerSpec, out: Path, context: StageContext) -> Report:
    """Train on corpus train.parquet; write tokenizer.json, tokenizer_config.json and report.json.

    Raises DataError if the text supports fewer tokens than the vocabulary asks for.
    """
    train = inputs["corpus"] / "train.parquet"
    total = pq.ParquetFile(train).metadata.num_rows
    if not total:
        raise DataError("the corpus has no training document", rule="a tokenizer is learned from text", mend=MORE)
    tokenizer = trained(_texts(train, context, total), vocab_size=config.vocab_size)
    learned = tokenizer.get_vocab_size()
    if learned < config.vocab_size:
        raise DataError(
            f"vocab_size = {config.vocab_size}, but the {total} training documents support {learned} tokens",
            rule="every merge occurs at least twice in the text",
            mend=f"lower tokenizer.vocab_size to {learned} or less, or add documents",
        )
    tokenizer.save(str(out / "tokenizer.json"))
    encoder, general = load_encoder(out), general_tokenizer(inputs)
    report = write_report(out, encoder, fertility(encoder, general, train, context), learned={})
    return Report(counts={"documents": total, "vocab_size": learned}, metrics=metrics(report))


def general_tokenizer(inputs: Mapping[str, Path]) -> Tokenizer | None:
    """The tokenizer that the fertility is compared with, if a person named one (FORGE_GENERAL_TOKENIZER)."""
    path = inputs.get("general_tokenizer")
    if path is None:
        return None
    document = gguf_tokenizer(path) if path.suffix == ".gguf" else json.loads(path.read_bytes())
    general = Tokenizer.from_str(json.dumps(adopt(document).tokenizer))
    general.encode_special_tokens = True
    return general


def write_report(
    out: Path, encoder: Tokenizer, measured: Mapping[str, Any], *, learned: Mapping[str, Any]
) -> dict[str, Any]:
    """Write tokenizer_config.json and report.json: vocabulary, chat template and fertility; return the report."""
    (out / "tokenizer_config.json").write_text(_canonical(_transformers_config()), encoding="utf-8")
    report = {
        "vocab_size": encoder.get_vocab_size(),
        "chat_template": {
            "version": CHAT_TEMPLATE_VERSION,
            "sha256": hashlib.sha256(CHAT_TEMPLATE.encode()).hexdigest(),
        },
        "general_tokenizer": "compared" if "general_tokens" in measured["all"] else "none given",
        **learned,
        **measured,
    }
    (out / "report.json").write_text(_canonical(report), encoding="utf-8")
    return report


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
