"""Attention for short rows: the same numbers as transformers' eager attention, gradients included."""

import pytest
import torch

from forge_dagster.model.build import build_model
from forge_dagster.recipe import ModelSpec
from forge_dagster.training import attention

SPEC = ModelSpec(
    architecture="qwen3", hidden_size=64, intermediate_size=96, layers=2, heads=4, kv_heads=2, head_dim=16,
    tie_embeddings=False, rope_theta=10000,
)  # fmt: skip


def _gradients(implementation: str, dtype: torch.dtype) -> tuple[torch.Tensor, list[torch.Tensor]]:
    model = build_model(SPEC, vocab_size=96, positions=32, seed=1)
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        if not parameter.any():  # what starts at zero would hide the attention behind it
            parameter.data.normal_(0, 0.1, generator=generator)
    model.set_attn_implementation(implementation)
    ids = torch.randint(0, 96, (3, 32), generator=generator)
    positions = torch.cat([torch.arange(20), torch.arange(12)]).repeat(3, 1)
    with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
        hidden = model.base_model(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state
    (hidden.float() ** 2 * torch.linspace(0, 1, 64)).mean().backward()
    return hidden.detach(), [parameter.grad for parameter in model.base_model.parameters()]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_it_computes_what_eager_attention_computes(dtype: torch.dtype, tolerance: float) -> None:
    hidden, gradients = _gradients(attention.NAME, dtype)
    expected, wanted = _gradients("eager", torch.float32)
    assert (hidden - expected).norm() <= tolerance * expected.norm()
    for found, right in zip(gradients, wanted, strict=True):
        assert (found - right).norm() <= tolerance * right.norm()


def test_a_document_does_not_see_the_one_before() -> None:
    model = build_model(SPEC, vocab_size=96, positions=32, seed=1)
    model.set_attn_implementation(attention.NAME)
    for parameter in model.parameters():
        if not parameter.any():
            parameter.data.normal_(0, 0.1)
    positions = torch.cat([torch.arange(20), torch.arange(12)])[None]
    ids = torch.arange(32)[None]
    other = ids.clone()
    other[0, :20] += 40
    with torch.no_grad():
        first, second = (
            model.base_model(input_ids=each, position_ids=positions, use_cache=False).last_hidden_state
            for each in (ids, other)
        )
    assert torch.equal(first[0, 20:], second[0, 20:])
    assert not torch.equal(first[0, :20], second[0, :20])
