"""What training and a server make of one conversation: equal token ids, or a finding that says where they part."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.model.build import build_model
from forge_dagster.model.folder import write_model
from forge_dagster.model.serving import served_as_trained
from forge_dagster.recipe import ModelSpec, TokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.stages import base
from forge_dagster.tokens import tokenizer

MANUAL = "Colour, weight and owner of every machine are in the register, as the manual says."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("corpus", "tokenizer", "model"):
        (tmp_path / name).mkdir()
    rows = [{"id": str(n), "text": f"Pump {n} of hall {n % 7} runs at night. {MANUAL}"} for n in range(60)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "corpus" / "train.parquet")
    spec = TokenizerSpec(kind="byte-bpe", vocab_size=300)
    tokenizer.run({"corpus": tmp_path / "corpus"}, spec, tmp_path / "tokenizer", local_context(tmp_path / "context"))
    shape = ModelSpec(
        architecture="qwen3", hidden_size=16, intermediate_size=32, layers=1, heads=2, kv_heads=2, head_dim=8,
        tie_embeddings=False, rope_theta=10_000.0,
    )  # fmt: skip
    write_model(build_model(shape, vocab_size=300, positions=64, seed=1), tmp_path / "tokenizer", tmp_path / "model")
    return tmp_path / "model"


def change(path: Path, edit: Callable[[dict], None]) -> None:
    body = json.loads(path.read_bytes())
    edit(body)
    path.write_text(json.dumps(body))


def test_a_checkpoint_is_served_as_it_was_trained(folder: Path):
    finding = served_as_trained(folder)
    assert (finding.passed, finding.observed) == (True, {})
    assert base.check(folder)[-1] == finding


def test_another_chat_template_is_found(folder: Path):
    def edit(config: dict) -> None:
        config["chat_template"] = config["chat_template"].replace("message['content']", "message['content'] | trim")

    change(folder / "tokenizer_config.json", edit)
    finding = served_as_trained(folder)
    assert not finding.passed
    assert finding.blocking
    assert finding.observed["differ_at"]["token"] == 1


def test_a_template_that_cannot_be_read_is_found(folder: Path):
    change(folder / "tokenizer_config.json", lambda config: config.update(chat_template="{{ raise_exception('no') }}"))
    assert "no" in served_as_trained(folder).observed["template"]


def test_a_tokenizer_that_changes_text_is_found(folder: Path):
    change(folder / "tokenizer.json", lambda body: body.update(normalizer={"type": "Lowercase"}))
    change(folder / "tokenizer_config.json", lambda config: config.update(chat_template="{{ messages[0]['content'] }}"))
    assert not served_as_trained(folder).passed


def test_a_turn_that_does_not_end_the_generation_is_found(folder: Path):
    change(folder / "generation_config.json", lambda config: config.update(eos_token_id=1, pad_token_id=7))
    assert served_as_trained(folder).observed == {"eos_token_id": 1, "pad_token_id": 7}
