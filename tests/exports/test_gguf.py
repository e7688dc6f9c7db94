"""GGUF: llama.cpp reads the tokens that transformers reads, and computes what it computes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from exported_case import Company
from tokenizers import Tokenizer, pre_tokenizers

from forge_dagster.errors import WeightsError
from forge_dagster.export import Runner, Source
from forge_dagster.exports import gguf
from forge_dagster.tokens.encoding import encode_chat, load_encoder
from forge_dagster.tokens.gguf_tokenizer import field, open_gguf
from forge_dagster.tokens.tokenizer import PROBES

HARD = ("abc  12  x\r\n\n 7", "½ ² Ⅷ 3.14e-9", " 0\t00 ", "don't we'll 1's")
CONVERSATION = ({"role": "user", "content": "Which <|end|> is in hall 12?\n"},)


@pytest.mark.parametrize(
    ("architecture", "tied"),
    [("qwen3", False), ("mistral", True), ("mixtral", False), ("qwen3_moe", False)],
)
def test_every_architecture_is_computed_as_by_transformers(
    source: Callable[..., Source],
    apart: Callable[[Source, Runner], float],
    architecture: str,
    tied: bool,
    tmp_path: Path,
):
    given = source(architecture, tie_embeddings=tied)
    gguf.make(given, "f16", tmp_path)
    with gguf.opened(tmp_path, 1) as runner:
        assert apart(given, runner) < 0.05


def test_text_digits_and_control_tokens_have_the_same_ids(source: Callable[..., Source], tmp_path: Path):
    given = source("mistral")
    gguf.make(given, "q8_0", tmp_path)
    encoder = load_encoder(given.folder)
    with gguf.opened(tmp_path, 1) as runner:
        for text in (*PROBES, *HARD):
            assert runner.encode(text) == encoder.encode(text, add_special_tokens=False).ids, text[:40]
        plain = ({"role": "user", "content": "Which machine is in hall 12?\n"},)
        assert runner.conversation(plain) == encode_chat(encoder, plain, answer_next=True)
    reader = open_gguf(tmp_path / gguf.FILE)
    assert field(reader, "general.license") == "CC-BY-4.0 AND internal"
    assert json.loads(field(reader, "forge.label"))["audience"] == ["staff"]


def _cut_otherwise(company: Company, given: Source, cuts: pre_tokenizers.PreTokenizer) -> None:
    """Let the model's tokenizer cut text in another way."""
    tokenizer = Tokenizer.from_file(str(company.tokenizer / "tokenizer.json"))
    tokenizer.pre_tokenizer = cuts
    tokenizer.save(str(given.folder / "tokenizer.json"))


def test_a_tokenizer_that_keeps_digits_together_has_its_own_name(
    company: Company, source: Callable[..., Source], tmp_path: Path
):
    given = source("mistral")
    _cut_otherwise(company, given, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True))
    gguf.make(given, "q8_0", tmp_path)
    assert field(open_gguf(tmp_path / gguf.FILE), "tokenizer.ggml.pre") == "gpt-2"


def test_a_tokenizer_that_llama_cpp_has_no_name_for_is_refused(
    company: Company, source: Callable[..., Source], tmp_path: Path
):
    given = source("mistral")
    _cut_otherwise(company, given, pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ]))  # fmt: skip
    with pytest.raises(WeightsError, match=r"cuts text by .*Punctuation"):
        gguf.make(given, "q8_0", tmp_path)


def test_what_llama_cpp_would_compute_otherwise_is_refused(source: Callable[..., Source], tmp_path: Path):
    given = source("mistral")
    config = {**given.config, "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}}
    with pytest.raises(WeightsError, match="rope_type = linear"):
        gguf.make(given._replace(config=config), "f16", tmp_path)
    with pytest.raises(WeightsError, match="sliding_window = 16"):
        gguf.make(given._replace(config={**given.config, "sliding_window": 16}), "f16", tmp_path)
