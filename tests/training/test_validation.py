"""Bits per byte against a slow reference, and against what an untrained model must score."""

import math
from pathlib import Path

import pytest
import torch

from forge_dagster.errors import DataError
from forge_dagster.model.build import build_model
from forge_dagster.recipe import ModelSpec
from forge_dagster.tokens.reader import open_documents
from forge_dagster.training.validation import score, score_sources


def test_an_untrained_model_scores_the_uniform_distribution(shards_folder: Path, dense_or_mixture: ModelSpec) -> None:
    model = build_model(dense_or_mixture, vocab_size=300, positions=32, seed=1)
    documents = open_documents(shards_folder, "validation")
    expected = documents.tokens * math.log2(300) / documents.sizes.sum()
    measured = score(model, documents, batch_tokens=8192, dtype="float32")
    assert measured.bits_per_byte == pytest.approx(expected, rel=1e-5)
    assert model.training


def test_it_sums_over_every_token_of_every_document(shards_folder: Path, spec: ModelSpec) -> None:
    model = build_model(spec, vocab_size=300, positions=32, seed=1)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    documents = open_documents(shards_folder, "validation")
    nats = 0.0
    for number, length in enumerate(documents.lengths):
        for start in range(0, int(length), 32):
            inputs, labels = documents.window(number, start, min(32, int(length) - start))
            with torch.inference_mode():
                logits = model(input_ids=torch.from_numpy(inputs)[None], use_cache=False).logits[0]
            nats -= float(logits.log_softmax(-1).gather(-1, torch.from_numpy(labels)[:, None]).sum())
    expected = nats / math.log(2) / documents.sizes.sum()
    for batch_tokens in (1, 100, 10_000):
        measured = score(model, documents, batch_tokens=batch_tokens, dtype="float32")
        assert measured.bits_per_byte == pytest.approx(expected, rel=1e-5)


def test_each_source_has_whole_documents_within_its_part_and_one_at_least(shards_folder: Path, spec: ModelSpec) -> None:
    model = build_model(spec, vocab_size=300, positions=32, seed=1)
    documents = open_documents(shards_folder, "validation")
    (name,) = documents.sources
    first, second = (int(length) for length in documents.lengths[:2])
    for most, count in ((1, 1), (first, 1), (first + second - 1, 1), (first + second, 2)):
        scores = score_sources(model, documents, most_tokens=most, dtype="float32", window=32)
        assert scores[name].size == documents.sizes[:count].sum()
        assert scores[name].nats == pytest.approx(documents.lengths[:count].sum() * math.log(300), rel=1e-5)


def test_a_source_without_documents_cannot_be_scored(shards_folder: Path, spec: ModelSpec) -> None:
    model = build_model(spec, vocab_size=300, positions=32, seed=1)
    documents = open_documents(shards_folder, "validation")
    with pytest.raises(DataError, match="source elsewhere has no validation document"):
        score_sources(model, documents, most_tokens=100, dtype="float32", window=32, names=["elsewhere"])
