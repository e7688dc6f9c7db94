"""Packed rows: what one document says cannot reach another, in any architecture."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from forge_dagster.model.build import build_model
from forge_dagster.model.scan import ARCHITECTURES
from forge_dagster.recipe import MOE, ModelSpec
from forge_dagster.tokens.order import Order, Span
from forge_dagster.tokens.reader import open_documents
from forge_dagster.training.batches import IGNORED, Batch, pack

SCRATCH = get_args(ModelSpec.model_fields["architecture"].annotation)


def _model(architecture: str) -> PreTrainedModel:
    # In a mixture every expert is chosen, so that no near tie of the router hides behind the tolerance.
    experts = {"experts": 2, "experts_per_token": 2} if architecture in MOE else {}
    shape = {
        "hidden_size": 32, "intermediate_size": 48, "layers": 2, "heads": 2, "kv_heads": 1, "head_dim": 16,
        "tie_embeddings": False, "rope_theta": 10_000.0, **experts,
    }  # fmt: skip
    if architecture in SCRATCH:
        spec = ModelSpec.model_validate({"architecture": architecture, **shape})
        model = build_model(spec, vocab_size=300, positions=32, seed=1).eval()
    else:  # known from open weights alone
        config = AutoConfig.for_model(
            architecture, vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=32,
        )  # fmt: skip
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa").eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@torch.inference_mode()
def _logits(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    return model(input_ids=batch.inputs, position_ids=batch.positions, use_cache=False).logits


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("architecture", sorted({*ARCHITECTURES, *SCRATCH}))
def test_attention_never_crosses_documents(architecture: str, attention: str, shards_folder: Path) -> None:
    documents, model = open_documents(shards_folder, "train"), _model(architecture)
    model.set_attn_implementation(attention)
    first, second = Span(0, 3, 12), Span(1, 0, 20)
    packed = pack(documents, [[first, second]], 32)
    logits = _logits(model, packed)

    other = packed.inputs.clone()
    other[0, :12] = (other[0, :12] + 17) % 300
    perturbed = _logits(model, packed._replace(inputs=other))
    assert not torch.allclose(perturbed[0, :12], logits[0, :12])
    torch.testing.assert_close(perturbed[0, 12:], logits[0, 12:], rtol=0, atol=1e-6)

    alone = _logits(model, pack(documents, [[second]], 20))
    torch.testing.assert_close(alone[0], logits[0, 12:], rtol=0, atol=1e-5)


def test_positions_restart_and_labels_are_the_next_tokens(shards_folder: Path) -> None:
    documents = open_documents(shards_folder, "train")
    order = Order(0, documents.lengths, 48, 6)
    for step in range(5):
        batch = pack(documents, order.batch(step), 48)
        assert not (batch.labels == IGNORED).any()
        for row, spans in enumerate(order.batch(step)):
            starts = np.cumsum([0, *(span.length for span in spans)])[:-1]
            assert (batch.positions[row] == 0).nonzero().flatten().tolist() == starts.tolist()
            inside = batch.positions[row, 1:] > 0
            assert torch.equal(batch.inputs[row, 1:][inside], batch.labels[row, :-1][inside])


def test_a_short_row_is_filled_with_what_is_not_scored(shards_folder: Path) -> None:
    documents = open_documents(shards_folder, "train")
    batch = pack(documents, [[Span(2, 0, 5)], [Span(3, 1, 9)]], 9)
    assert (batch.labels[0, 5:] == IGNORED).all()
    assert (batch.labels != IGNORED).sum() == 14
    assert batch.positions[0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3]
