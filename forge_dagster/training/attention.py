"""Attention for short rows on a processor: plain matrix products, and softmax in the dtype of those products."""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

NAME = "forge_short"
"""What a model's set_attn_implementation calls it."""


class _Attention(torch.autograd.Function):
    """transformers' eager attention keeps scores in float32; here no [rows, heads, n, n] tensor is wider than it must.

    torch's softmax computes in float32 inside whatever it reads and writes.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        heads = query.shape[:2]
        query, key, value = (x.flatten(0, 1) for x in (query, key, value))
        scores = query.new_zeros(*heads, query.size(1), key.size(1))
        if mask is not None:
            scores.copy_(mask)  # the product is added to it: a pass less for scale and mask each
        scores = scores.flatten(0, 1).baddbmm_(query, key.mT, alpha=scale)
        shares = torch.softmax(scores, -1)
        ctx.save_for_backward(query, key, value, shares)
        ctx.scale, ctx.heads = scale, heads
        return torch.bmm(shares, value).unflatten(0, heads)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        query, key, value, shares = ctx.saved_tensors
        grad = upstream[0].flatten(0, 1).to(shares.dtype)
        grad_value = torch.bmm(shares.mT, grad)
        grad_scores = torch._softmax_backward_data(torch.bmm(grad, value.mT), shares, -1, shares.dtype)
        grad_query = torch.baddbmm(query, grad_scores, key, beta=0, alpha=ctx.scale)
        grad_key = torch.baddbmm(key, grad_scores.mT, query, beta=0, alpha=ctx.scale)
        return (*(x.unflatten(0, ctx.heads) for x in (grad_query, grad_key, grad_value)), None, None)


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **options: Any,
) -> tuple[Tensor, None]:
    """[rows, heads, n, width] -> [rows, n, heads, width], as transformers asks of an attention."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (x.repeat_interleave(groups, 1) for x in (key, value))
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else query.dtype
    mask = None if attention_mask is None else attention_mask.to(dtype)
    out: Tensor = _Attention.apply(query.to(dtype), key.to(dtype), value.to(dtype), mask, scaling)
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, eager_mask)
