"""Muon for hidden matrices, AdamW for the rest, as one list of optimizers with one flat state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

# Coefficients of the quintic iteration, chosen for slope at zero: singular values end in about 0.7 .. 1.2.
A, B, C = 3.4445, -4.7750, 2.0315

# For short runs, and an epsilon that does not drown the rare tokens' gradients (nanochat).
ADAM_BETAS = (0.8, 0.95)
ADAM_EPSILON = 1e-10


def orthogonalise(matrices: Tensor, *, dtype: torch.dtype, steps: int = 5) -> Tensor:
    """Return the nearest semi-orthogonal matrix of each matrix, roughly: [n, rows, columns] -> the same shape.

    Newton–Schulz iteration of Jordan et al. 2024 (Muon, kellerjordan.github.io/posts/muon), batched over n.
    """
    x = matrices.to(dtype)
    wide = x.size(-2) <= x.size(-1)
    x = x if wide else x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = torch.bmm(x, x.mT)
        polynomial = torch.baddbmm(gram, gram, gram, beta=B, alpha=C)
        x = torch.baddbmm(x, polynomial, x, beta=A)
    return (x if wide else x.mT).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised by Newton–Schulz (Jordan et al. 2024), for matrices and stacks of matrices.

    torch.optim.Muon takes 2-D parameters alone; experts are [experts, rows, columns], and each is a matrix of its own.
    All matrices of one shape go through the iteration together. `gate_up_proj` holds two matrices an expert.
    """

    def __init__(
        self,
        named: list[tuple[str, nn.Parameter]],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        dtype: torch.dtype,
    ) -> None:
        super().__init__([parameter for _, parameter in named], {"lr": lr})
        self.momentum, self.weight_decay, self.dtype = momentum, weight_decay, dtype
        self.views = {parameter: matrices_of(name, parameter) for name, parameter in named}

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        (group,) = self.param_groups
        by_shape: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = {}
        for parameter in group["params"]:
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            state["momentum"].lerp_(parameter.grad, 1 - self.momentum)
            update = parameter.grad.lerp(state["momentum"], self.momentum)  # Nesterov
            shape = self.views[parameter]
            by_shape.setdefault((shape[1], shape[2]), []).append((parameter, update.view(shape)))
        for (rows, columns), items in by_shape.items():
            updates = orthogonalise(torch.cat([update for _, update in items]), dtype=self.dtype)
            scale = max(1.0, rows / columns) ** 0.5
            parts = updates.split([update.size(0) for _, update in items])
            for (parameter, _), part in zip(items, parts, strict=True):
                parameter.mul_(1 - group["lr"] * self.weight_decay)
                parameter.add_(part.reshape(parameter.shape), alpha=-group["lr"] * scale)


def matrices_of(name: str, parameter: nn.Parameter) -> tuple[int, int, int]:
    """Return (matrices, rows, columns) of a parameter."""
    *stack, rows, columns = parameter.shape
    count = stack[0] if stack else 1
    if name.endswith("gate_up_proj"):
        count, rows = 2 * count, rows // 2
    return count, rows, columns


@dataclass(frozen=True)
class Rates:
    """Peak learning rates by kind of parameter."""

    muon: float
    embedding: float
    head: float
    norm: float
    router: float


class Optimizers:
    """Steps Muon and AdamW together and saves them as one flat mapping of tensors."""

    def __init__(
        self, model: nn.Module, rates: Rates, *, momentum: float, weight_decay: float, dtype: torch.dtype
    ) -> None:
        kinds: dict[str, list[tuple[str, nn.Parameter]]] = {}
        for name, parameter in model.named_parameters():
            kinds.setdefault(kind_of(name, parameter), []).append((name, parameter))
        groups = [
            {"params": [p for _, p in items], "lr": getattr(rates, kind)}
            for kind, items in kinds.items()
            if kind != "muon"
        ]
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
        self.parts: dict[str, torch.optim.Optimizer] = {
            "muon": Muon(kinds["muon"], lr=rates.muon, momentum=momentum, weight_decay=weight_decay, dtype=dtype),
            "adamw": torch.optim.AdamW(groups, betas=ADAM_BETAS, eps=ADAM_EPSILON, weight_decay=0.0, fused=True),
        }
        self.peaks = [(group, group["lr"]) for part in self.parts.values() for group in part.param_groups]

    def step(self, share: float) -> None:
        """Update every parameter at `share` of its peak learning rate, and drop the gradients."""
        for group, peak in self.peaks:
            group["lr"] = peak * share
        for part in self.parts.values():
            part.step()
            part.zero_grad(set_to_none=True)

    def drop_gradients(self) -> None:
        """Forget the gradients of a step that is skipped."""
        for part in self.parts.values():
            part.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Tensor]:
        """Return the state as `<optimizer>/<parameter>/<entry>` -> tensor."""
        return {
            f"{kind}/{self.names[parameter]}/{entry}": value
            for kind, part in self.parts.items()
            for parameter, entries in part.state.items()
            for entry, value in entries.items()
        }

    @property
    def state_bytes(self) -> int:
        """Bytes of the weights and of the state that `state` will return once every weight was updated."""
        slots = {"muon": 1, "adamw": 2}
        return sum(
            parameter.numel() * parameter.element_size() * (1 + slots[kind])
            for kind, part in self.parts.items()
            for group in part.param_groups
            for parameter in group["params"]
        )

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take up a state that `state` returned, and nothing else."""
        for part in self.parts.values():
            part.state.clear()
        parameters = {name: parameter for parameter, name in self.names.items()}
        for key, value in state.items():
            kind, name, entry = key.split("/")
            parameter = parameters[name]
            self.parts[kind].state[parameter][entry] = value.to(parameter.device, copy=True)


def kind_of(name: str, parameter: nn.Parameter) -> str:
    """Return the field of Rates that a parameter learns by."""
    if name.endswith("embed_tokens.weight"):
        return "embedding"
    if name.endswith("lm_head.weight"):
        return "head"
    if name.endswith("mlp.gate.weight"):
        return "router"
    return "muon" if parameter.ndim >= 2 else "norm"
