"""RMS norms in blocks: transformers' numbers and gradients, in the dtype that is read next."""

import pytest
import torch
from torch import Tensor
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from forge_dagster.model.build import build_model
from forge_dagster.recipe import ModelSpec
from forge_dagster.training import norm


def _normed(blocked: bool, hidden: Tensor, *, autocast: bool) -> tuple[Tensor, Tensor, Tensor]:
    """What a norm of other than unit gains gives, and the gradients of input and gains."""
    module = Qwen3RMSNorm(hidden.size(-1))
    module.weight.data = torch.linspace(0.5, 2.0, hidden.size(-1))
    if blocked:
        norm.use_blocked_norms(torch.nn.Sequential(module))
    hidden = hidden.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = module(hidden)
    (out.float() ** 2 * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
    assert hidden.grad is not None
    return out.detach(), hidden.grad, module.weight.grad


@pytest.mark.parametrize("shape", [(3, 700, 64), (2, 5, 4, 16), (1, 8)])
def test_in_float32_it_is_transformers_norm(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(norm, "PIECE", 1000)  # a few pieces, the last one shorter
    hidden = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 3
    for found, wanted in zip(
        _normed(True, hidden, autocast=False), _normed(False, hidden, autocast=False), strict=True
    ):
        assert found.dtype == wanted.dtype
        assert (found - wanted).norm() <= 1e-5 * wanted.norm()


@pytest.mark.parametrize("given", [torch.float32, torch.bfloat16])
def test_under_autocast_it_gives_what_products_read(given: torch.dtype) -> None:
    hidden = torch.randn(40, 32, generator=torch.Generator().manual_seed(2)).to(given)
    found = _normed(True, hidden, autocast=True)
    wanted = _normed(False, hidden.float(), autocast=False)
    assert [each.dtype for each in found] == [torch.bfloat16, given, torch.float32]
    for got, right in zip(found, wanted, strict=True):
        assert (got.float() - right).norm() <= 1e-2 * right.norm()


def test_a_transposed_input_is_read_as_it_is_seen() -> None:
    hidden = torch.randn(4, 6, 16, generator=torch.Generator().manual_seed(3)).transpose(0, 1)
    torch.testing.assert_close(_normed(True, hidden, autocast=False)[0], _normed(False, hidden, autocast=False)[0])


def test_a_model_computes_what_it_computed(dense_or_mixture: ModelSpec) -> None:
    ids = torch.arange(60).view(2, 30) % 48

    def hidden(blocked: bool, *, autocast: bool) -> Tensor:
        model = build_model(dense_or_mixture, vocab_size=96, positions=32, seed=1)
        generator = torch.Generator().manual_seed(2)
        for parameter in model.parameters():
            if not parameter.any():  # what starts at zero would hide the layers behind it
                parameter.data.normal_(0, 0.1, generator=generator)
        if blocked:
            norm.use_blocked_norms(model)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return model.base_model(input_ids=ids, use_cache=False).last_hidden_state

    wanted = hidden(False, autocast=False)
    torch.testing.assert_close(hidden(True, autocast=False), wanted, rtol=1e-4, atol=1e-4)
    close = hidden(True, autocast=True)
    assert close.dtype == torch.bfloat16
    if not dense_or_mixture.experts:  # a rounded router may ask another expert
        assert (close.float() - wanted).norm() <= 3e-2 * wanted.norm()
