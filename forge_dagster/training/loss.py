"""Cross entropy of a language model's head without ever holding the logits of a whole batch."""

from typing import Any

import torch
from torch import Tensor

CHUNK = 512
"""Positions whose logits exist at one time: 4 MiB of float32 at 2,048 tokens of vocabulary, which a cache holds."""


class _HeadCrossEntropy(torch.autograd.Function):
    """Computes the loss chunk by chunk, and with it the gradients if any are wanted; backward only scales them."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor, dtype: torch.dtype) -> Tensor:
        head, learning = weight.to(dtype), any(ctx.needs_input_grad)
        grad_hidden = torch.empty_like(hidden) if learning else None
        grad_weight = torch.zeros_like(weight) if learning else None
        loss = hidden.new_zeros((), dtype=torch.float32)
        for begin in range(0, len(labels), CHUNK):
            rows, wanted = hidden[begin : begin + CHUNK].to(dtype), labels[begin : begin + CHUNK, None]
            logs = torch.log_softmax(rows @ head.T, -1, dtype=torch.float32)
            loss -= logs.gather(-1, wanted).sum()
            if grad_hidden is None or grad_weight is None:
                continue
            grad = logs.exp_()
            grad.scatter_add_(-1, wanted, grad.new_full(wanted.shape, -1.0))
            grad = grad.to(dtype)
            grad_hidden[begin : begin + CHUNK] = grad @ head
            grad_weight += grad.T @ rows
        if learning:
            ctx.save_for_backward(grad_hidden, grad_weight)
        return loss

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * upstream[0], grad_weight * upstream[0], None, None


def head_cross_entropy(hidden: Tensor, weight: Tensor, labels: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the summed cross entropy in nats: hidden [n, width], weight [vocabulary, width], labels [n], all scored.

    Matrix products in `dtype`, softmax and sums in float32. Memory is that of CHUNK positions of logits instead of n
    (the idea of Hsu et al. 2024, Liger Kernel, section 3.2).
    """
    loss: Tensor = _HeadCrossEntropy.apply(hidden, weight, labels, dtype)
    return loss


def token_cross_entropy(hidden: Tensor, weight: Tensor, labels: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the cross entropy in nats of each position, float32 [n]; as `head_cross_entropy`, without gradients."""
    head, losses = weight.to(dtype), []
    for begin in range(0, len(labels), CHUNK):
        logits = (hidden[begin : begin + CHUNK].to(dtype) @ head.T).float()
        chosen = logits.gather(-1, labels[begin : begin + CHUNK, None])
        losses.append((logits.logsumexp(-1, keepdim=True) - chosen)[:, 0])
    return torch.cat(losses)
