"""Shards hold every document once, closed and indexed; checks find each way of being wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.errors import DataError, IntegrityError
from forge_dagster.stage import local_context
from forge_dagster.tokens import shards
from forge_dagster.tokens.control import END_OF_TEXT_ID
from forge_dagster.tokens.encoding import load_encoder
from forge_dagster.tokens.reader import open_documents


def _failed(content: Path) -> set[str]:
    findings = shards.check(content)
    assert [finding.name for finding in findings] == list(shards.CHECK_NAMES)
    return {finding.name for finding in findings if not finding.passed}


@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_document_decodes_to_its_text(
    corpus: Path, tokenizer_folder: Path, shards_folder: Path, split: str
) -> None:
    documents, encoder = open_documents(shards_folder, split), load_encoder(tokenizer_folder)
    texts = pq.read_table(corpus / f"{split}.parquet").column("text").to_pylist()
    assert len(documents.lengths) == len(texts)
    for number, text in enumerate(texts):
        inputs, labels = documents.window(number, 0, int(documents.lengths[number]))
        assert labels[-1] == inputs[0] == END_OF_TEXT_ID
        assert encoder.decode(labels[:-1].tolist(), skip_special_tokens=False) == text
        assert (inputs[1:] == labels[:-1]).all()
        assert documents.sizes[number] == len(text.encode())
        later_inputs, later_labels = documents.window(number, 5, 3)
        assert (later_inputs == labels[4:7]).all()
        assert (later_labels == labels[5:8]).all()


def test_small_shards_and_a_wide_dtype_change_nothing_but_the_files(
    corpus: Path, tokenizer_folder: Path, shards_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_TOKENS", 2000)
    shards.run(
        {"corpus": corpus, "tokenizer": tokenizer_folder},
        shards.ShardsConfig(),
        tmp_path,
        local_context(tmp_path / "c"),
    )
    assert not _failed(tmp_path)
    one, many = open_documents(shards_folder, "train"), open_documents(tmp_path, "train")
    assert len(many.shards) > 3
    assert (one.lengths == many.lengths).all()
    for number, length in enumerate(one.lengths):
        assert (one.window(number, 0, int(length))[1] == many.window(number, 0, int(length))[1]).all()


def test_check_passes_and_names_what_is_wrong(shards_folder: Path, tmp_path: Path) -> None:
    assert not _failed(shards_folder)

    def spoiled(name: str) -> Path:
        return Path(shutil.copytree(shards_folder, tmp_path / name))

    short = spoiled("short")
    (short / "train-00000.bin").write_bytes((short / "train-00000.bin").read_bytes()[:-2])
    assert _failed(short) == {"index_covers_shards"}
    with pytest.raises(IntegrityError, match=r"train-00000\.bin has \d+ bytes"):
        open_documents(short, "train")

    gap = spoiled("gap")
    index = pq.read_table(gap / "documents.parquet")
    pq.write_table(pa.concat_tables([index.slice(0, 3), index.slice(4)]), gap / "documents.parquet")
    assert _failed(gap) == {"index_covers_shards"}

    large = spoiled("large")
    tokens = np.fromfile(large / "train-00000.bin", "<u2")
    tokens[0] = 60_000
    tokens.tofile(large / "train-00000.bin")
    assert _failed(large) == {"tokens_in_vocabulary"}

    unclosed = spoiled("unclosed")
    tokens = np.fromfile(unclosed / "train-00000.bin", "<u2")
    tokens[-1] = 9
    tokens.tofile(unclosed / "train-00000.bin")
    assert _failed(unclosed) == {"documents_are_closed"}


def test_an_empty_validation_side_is_refused(corpus: Path, tokenizer_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "out").mkdir()
    train = pq.read_table(corpus / "train.parquet")
    pq.write_table(train, tmp_path / "corpus" / "train.parquet")
    pq.write_table(train.slice(0, 0), tmp_path / "corpus" / "validation.parquet")
    with pytest.raises(DataError, match="validation side of the corpus has no document"):
        shards.run(
            {"corpus": tmp_path / "corpus", "tokenizer": tokenizer_folder},
            shards.ShardsConfig(),
            tmp_path / "out",
            local_context(tmp_path / "c"),
        )


def test_meta_counts_what_is_there(shards_folder: Path) -> None:
    meta = json.loads((shards_folder / "meta.json").read_text())
    for split, told in meta["splits"].items():
        documents = open_documents(shards_folder, split)
        assert (told["documents"], told["tokens"], told["longest"]) == (
            len(documents.lengths),
            documents.tokens,
            documents.longest,
        )
