"""Bits per byte against a slow reference, and against what an untrained model must score."""

import math
from pathlib import Path

import pytest
import torch

from forge_dagster.errors import DataError
from forge_dagster.model.build import build_model
from forge_dagster.recipe import ModelSpec
from forge_dagster.tokens.reader import open_documents
from forge_dagster.training.validation import bits_per_byte


def test_an_untrained_model_scores_the_uniform_distribution(shards_folder: Path, dense_or_mixture: ModelSpec) -> None:
    model = build_model(dense_or_mixture, vocab_size=300, positions=32, seed=1)
    documents = open_documents(shards_folder, "validation")
    expected = documents.tokens * math.log2(300) / documents.sizes.sum()
    assert bits_per_byte(model, shards_folder, dtype="float32") == pytest.approx(expected, rel=1e-5)
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
        measured = bits_per_byte(model, shards_folder, batch_tokens=batch_tokens, dtype="float32")
        assert measured == pytest.approx(expected, rel=1e-5)


def test_a_limit_takes_whole_documents(shards_folder: Path, spec: ModelSpec) -> None:
    model = build_model(spec, vocab_size=300, positions=32, seed=1)
    documents = open_documents(shards_folder, "validation")
    first = int(documents.lengths[0])
    expected = first * math.log2(300) / documents.sizes[0]
    measured = bits_per_byte(model, shards_folder, most_tokens=first + 1, dtype="float32")
    assert measured == pytest.approx(expected, rel=1e-5)
    with pytest.raises(DataError, match=f"has {first} tokens, the limit is {first - 1}"):
        bits_per_byte(model, shards_folder, most_tokens=first - 1)
