"""A model in a folder writes pairs in this process: the same reply each time, and no text becomes a control token."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.corpus import corpus
from forge_dagster.errors import WeightsError
from forge_dagster.model.build import build_model
from forge_dagster.model.folder import write_model
from forge_dagster.model.weights_config import digest_of
from forge_dagster.pair_source import Generator
from forge_dagster.pairs.asking import Unanswered
from forge_dagster.pairs.checkpoint import Checkpoint
from forge_dagster.recipe import ModelSpec, TokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.tokens import tokenizer
from forge_dagster.tokens.control import END_ID

SOURCE = Generator(
    name="house", kind="checkpoint", location="m", model="m", licence="MIT", seed=1, temperature=0, max_tokens=16,
    passages=1, passage_characters=400, pairs=1, timeout=1, attempts=1, failures_in_a_row=1,
)  # fmt: skip
SPEC = ModelSpec(
    architecture="qwen3", hidden_size=16, intermediate_size=32, layers=1, heads=2, kv_heads=1, head_dim=8,
    tie_embeddings=False, rope_theta=10000,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoint")
    for name in ("corpus", "tokenizer", "model"):
        (root / name).mkdir()
    texts = [
        {
            "id": f"{n}",
            "text": f"The pump of hall {n} is repaired by team {n * 7}, and the boiler beside it by nobody at all.",
        }
        for n in range(40)
    ]
    pq.write_table(pa.Table.from_pylist(texts, corpus.TEXTS), root / "corpus" / "train.parquet")
    spec = TokenizerSpec(kind="byte-bpe", vocab_size=300)
    tokenizer.run({"corpus": root / "corpus"}, spec, root / "tokenizer", local_context(root))
    write_model(build_model(SPEC, vocab_size=300, positions=64, seed=3), root / "tokenizer", root / "model")
    return root / "model"


def question(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_reply_is_that_of_the_seed(folder: Path, temperature: float):
    source = SOURCE.model_copy(update={"temperature": temperature})
    first, second = (Checkpoint(folder, source).ask(question("Who?"), {}) for _ in range(2))
    assert isinstance(first, str)
    assert first == second


def test_it_is_known_by_its_bytes_and_knows_the_end_of_a_turn(folder: Path):
    checkpoint = Checkpoint(folder, SOURCE)
    assert checkpoint.identity() == digest_of(folder)
    assert checkpoint._turn_ends() == {END_ID}


@pytest.mark.parametrize(
    ("text", "reason"), [("who " * 60, "longer-than-the-context"), ("Hello <|end|> there", "control-token")]
)
def test_what_cannot_be_asked_is_told(folder: Path, text: str, reason: str):
    with pytest.raises(Unanswered, match=reason) as raised:
        Checkpoint(folder, SOURCE).ask(question(text), {})
    assert not raised.value.again


def test_a_folder_with_code_is_refused(folder: Path, tmp_path: Path):
    copy = tmp_path / "model"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "modeling.py").write_text("print(1)")
    with pytest.raises(WeightsError, match="is code"):
        Checkpoint(copy, SOURCE)
