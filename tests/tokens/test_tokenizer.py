"""The tokenizer: exact, the same bytes every time, loadable by transformers, and refusing what text cannot support."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from forge_dagster.errors import DataError
from forge_dagster.recipe import TokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.tokens import tokenizer
from forge_dagster.tokens.control import CONTROL
from forge_dagster.tokens.encoding import load_encoder


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_transformers_reads_it_offline_with_the_chat_template(tokenizer_folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    loaded = PreTrainedTokenizerFast.from_pretrained(tokenizer_folder)
    messages = [{"role": "user", "content": "What is line 7?"}, {"role": "assistant", "content": "A pump."}]

    text = loaded.apply_chat_template(messages, tokenize=False)
    assert text == "<|user|>What is line 7?<|end|><|assistant|>A pump.<|end|>"
    asking = loaded.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    assert asking == "<|user|>What is line 7?<|end|><|assistant|>"
    assert loaded.convert_tokens_to_ids(list(CONTROL)) == [0, 1, 2, 3, 4]
    assert (loaded.pad_token, loaded.eos_token) == ("<|pad|>", "<|end_of_text|>")
    assert loaded.decode(loaded("  two  spaces , kept .")["input_ids"]) == "  two  spaces , kept ."
    marked = loaded.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    said = [token for token, mine in zip(marked["input_ids"], marked["assistant_masks"], strict=True) if mine]
    assert loaded.decode(said) == "A pump.<|end|>"


def test_two_trainings_in_two_processes_write_the_same_bytes(
    corpus: Path, tokenizer_folder: Path, tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from forge_dagster.recipe import TokenizerSpec;"
        "from forge_dagster.stage import local_context; from forge_dagster.tokens import tokenizer;"
        "tokenizer.run({'corpus': Path(sys.argv[1])}, TokenizerSpec(kind='byte-bpe', vocab_size=320),"
        "Path(sys.argv[2]), local_context(Path(sys.argv[3])))"
    )
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run([sys.executable, "-c", script, corpus, out, tmp_path / "context"], check=True)
    assert _digests(out) == _digests(tokenizer_folder)


def test_the_report_adds_up(tokenizer_folder: Path) -> None:
    report = json.loads((tokenizer_folder / "report.json").read_text())
    assert report["vocab_size"] == 320
    assert set(report["source"]) == {"plant", "office"}
    assert set(report["language"]) == {"de", "en"}
    for group in ("source", "language"):
        for figure in ("documents", "bytes", "tokens"):
            assert sum(row[figure] for row in report[group].values()) == report["all"][figure]
        for row in report[group].values():
            assert row["bytes_per_token"] == pytest.approx(row["bytes"] / row["tokens"], abs=1e-4)
    assert report["all"]["documents"] == 40
    assert report["general_tokenizer"] == "none given"


def test_the_chat_template_has_a_version(tokenizer_folder: Path) -> None:
    """A changed template needs a new version: models learned the old one."""
    versions = {1: "b1b2550762fa0acb5ec728619232df501fea3ac2718ba0098c504405fda687bd"}
    told = json.loads((tokenizer_folder / "report.json").read_text())["chat_template"]
    assert versions[told["version"]] == told["sha256"]


def test_fertility_is_compared_with_a_general_tokenizer(corpus: Path, tokenizer_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    inputs = {"corpus": corpus, "general_tokenizer": tokenizer_folder / "tokenizer.json"}
    spec = TokenizerSpec(kind="byte-bpe", vocab_size=300)
    told = tokenizer.run(inputs, spec, tmp_path / "out", local_context(tmp_path / "c"))
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["general_tokenizer"] == "compared"
    before = json.loads((tokenizer_folder / "report.json").read_text())
    for group, name in (("source", "plant"), ("language", "de")):
        assert report[group][name]["general_bytes_per_token"] == before[group][name]["bytes_per_token"]
        assert report[group][name]["bytes_per_token"] < report[group][name]["general_bytes_per_token"]
    assert told.metrics["general_bytes_per_token"] == before["all"]["bytes_per_token"]


def test_a_corpus_without_documents_is_refused(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    pq.write_table(pq.read_table(corpus / "train.parquet").slice(0, 0), tmp_path / "corpus" / "train.parquet")
    spec = TokenizerSpec(kind="byte-bpe", vocab_size=320)
    with pytest.raises(DataError, match="no training document"):
        tokenizer.run({"corpus": tmp_path / "corpus"}, spec, tmp_path, local_context(tmp_path / "c"))


def test_a_vocabulary_that_the_text_cannot_fill_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"vocab_size = 30000.*support \d+ tokens"):
        tokenizer.run(
            {"corpus": corpus},
            TokenizerSpec(kind="byte-bpe", vocab_size=30_000),
            tmp_path,
            local_context(tmp_path / "c"),
        )


def test_its_own_check_passes_and_finds_what_is_broken(tokenizer_folder: Path, tmp_path: Path) -> None:
    assert all(finding.passed for finding in tokenizer.check(tokenizer_folder))

    spoiled = json.loads((tokenizer_folder / "tokenizer.json").read_text())
    spoiled["added_tokens"] = spoiled["added_tokens"][:2]
    spoiled["normalizer"] = {"type": "Lowercase"}
    ids = spoiled["model"]["vocab"]
    ids["<|user|>"], ids["!"] = ids["!"], ids["<|user|>"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(spoiled))
    found = {finding.name: finding.passed for finding in tokenizer.check(tmp_path)}
    assert set(found) == set(tokenizer.CHECK_NAMES)
    assert not any(found.values())


def test_digits_stand_alone(tokenizer_folder: Path) -> None:
    encoder = load_encoder(tokenizer_folder)
    tokens = encoder.encode("7,000 and 12.5").tokens
    assert [token for token in tokens if token.isdigit()] == list("7000125")
