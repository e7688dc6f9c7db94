"""Tokens are counted as a tokenizer counts them, and a sample of a larger text tells of the whole."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.corpus.readiness import tokens
from forge_dagster.stage import LocalContext
from forge_dagster.tokens.bpe import trained
from forge_dagster.tokens.encoding import encode_batch


@pytest.fixture
def train(tmp_path: Path, prose: Callable[..., str]) -> Path:
    """300 documents and one that is long."""
    texts = [prose(seed) for seed in range(300)] + [prose(999, 4000)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "train.parquet", row_group_size=64)
    return tmp_path / "train.parquet"


def texts_of(train: Path) -> list[str]:
    return pq.read_table(train)["text"].to_pylist()


def sizes_of(train: Path) -> dict[str, int]:
    return {"train": sum(len(text.encode()) for text in texts_of(train)), "validation": 1000, "test": 0}


def test_each_vocabulary_counts_as_a_tokenizer_of_that_size(train: Path, context: LocalContext):
    found = tokens.measure(train, sizes_of(train), context)
    for point in found.curve:
        encoder = trained(iter([texts_of(train)]), vocab_size=point.vocabulary)
        counted = sum(map(len, encode_batch(encoder, texts_of(train))))
        assert point.bytes_per_token == pytest.approx(sizes_of(train)["train"] / counted, rel=1e-3)
    assert found.vocabulary == found.curve[-1].vocabulary
    assert found.train == round(sizes_of(train)["train"] / found.bytes_per_token)
    assert found.error == 0


def test_a_sample_tells_of_the_whole(train: Path, context: LocalContext, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tokens, "PIECE", 512)
    whole = tokens.measure(train, sizes_of(train), context)
    monkeypatch.setattr(tokens, "SAMPLE", sizes_of(train)["train"] // 4)
    part = tokens.measure(train, sizes_of(train), context)
    assert part.sampled_bytes == pytest.approx(sizes_of(train)["train"] / 4, rel=0.1)
    assert part.error > 0
    assert part.bytes_per_token == pytest.approx(whole.bytes_per_token, rel=0.1)


def test_pieces_end_at_words(train: Path, context: LocalContext, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tokens, "PIECE", 512)
    known = {word for text in texts_of(train) for word in text.split()}
    assert {word for piece in tokens.pieces(train, 0.5, context) for word in piece.split()} <= known


def test_text_without_spaces_is_taken_too(tmp_path: Path, context: LocalContext):
    pq.write_table(pa.table({"text": ["\u8a9e" * 50_000]}), tmp_path / "train.parquet")
    assert sum(map(len, tokens.pieces(tmp_path / "train.parquet", 0.5, context))) == pytest.approx(25_000, rel=0.4)


def test_words_are_counted_by_how_often_they_occur(tmp_path: Path, context: LocalContext):
    text = "often " * 200 + "seldom seldom seldom once 42"
    pq.write_table(pa.table({"text": [text]}), tmp_path / "train.parquet")
    found = tokens.measure(tmp_path / "train.parquet", {"train": len(text), "validation": 0, "test": 0}, context)
    assert [(band.least, band.distinct) for band in found.bands] == [(1, 1), (2, 1), (5, 0), (10, 0), (100, 1)]
    assert sum(band.share for band in found.bands) == pytest.approx(1, abs=1e-3)
