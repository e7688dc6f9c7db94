"""RMS norm on a processor: transformers' numbers, in pieces that a cache holds, in the dtype that is read next."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

PIECE = 2**17
"""Numbers worked on at one time: 512 KiB of float32."""


class _RMSNorm(torch.autograd.Function):
    """x / rms(x) * weight over rows (Zhang and Sennrich 2019), computed in float32; x is [rows, width]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        out, inverse = torch.empty_like(x, dtype=dtype), x.new_empty(len(x), 1, dtype=torch.float32)
        for part, scale, written in _pieces(x, inverse, out):
            wide = part.float()
            torch.linalg.vector_norm(wide, dim=-1, keepdim=True, out=scale)
            scale.square_().div_(x.size(-1)).add_(epsilon).rsqrt_()
            written.copy_(torch.mul(wide, scale).mul_(weight))
        ctx.save_for_backward(x, weight, inverse)
        return out

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, weight, inverse = ctx.saved_tensors
        grad_x, grad_weight = torch.empty_like(x), torch.zeros_like(weight)
        for part, scale, given, written in _pieces(x, inverse, upstream[0], grad_x):
            grad, unit = given.float(), torch.mul(part.float(), scale)
            along = torch.mul(unit, grad)
            grad_weight += along.sum(0)
            mean = torch.mv(along, weight).div_(x.size(-1))[:, None]
            result = torch.mul(grad, weight, out=written if written.dtype == grad.dtype else None)
            result.addcmul_(unit, mean, value=-1).mul_(scale)
            if result is not written:
                written.copy_(result)
        return grad_x, grad_weight, None, None


def _pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Return the same rows of each, so many that a cache holds them."""
    rows = max(PIECE // tensors[0].size(-1), 1)
    return zip(*(tensor.split(rows) for tensor in tensors), strict=True)


def use_blocked_norms(model: nn.Module) -> None:
    """Let every RMS norm of a transformers model compute so, and rotations be in the dtype of what they turn.

    Under autocast a norm gives that dtype, which every product after it would else make for itself.
    """
    for name, module in model.named_modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = _forward_of(module)
        elif name.endswith("rotary_emb"):
            module.register_forward_hook(lambda _, __, turns: tuple(turn.to(_dtype(turn)) for turn in turns))


def _forward_of(module: Any) -> Callable[[Tensor], Tensor]:
    def forward(hidden: Tensor) -> Tensor:
        rows = hidden.reshape(-1, hidden.size(-1))
        normed: Tensor = _RMSNorm.apply(rows, module.weight, module.variance_epsilon, _dtype(hidden))
        return normed.view(hidden.shape)

    return forward


def _dtype(x: Tensor) -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
