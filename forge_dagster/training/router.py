"""How a mixture's routers share tokens among experts, counted at the doors of the experts themselves."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

DEAD_SHARE = 0.05
"""An expert that gets less than this part of an equal share is dead."""


class LayerUse(NamedTuple):
    """One layer: part of the assignments each expert got; entropy, 1 for equal shares; part that no expert took."""

    shares: list[float]
    entropy: float
    dropped: float

    @property
    def dead(self) -> list[int]:
        """Experts that get next to nothing."""
        return [number for number, share in enumerate(self.shares) if share * len(self.shares) < DEAD_SHARE]


class RouterCounts:
    """Counts of every layer's assignments since the last `take`; no layers in a dense model."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = [module for name, module in model.named_modules() if name.endswith("mlp.experts")]
        self._counts: list[Tensor] = [self._zero(module) for module in self._layers]
        self._hooks = [
            module.register_forward_pre_hook(self._counter(number)) for number, module in enumerate(self._layers)
        ]

    def take(self) -> list[LayerUse]:
        """Return the use of each layer, some tokens having gone through it, and begin anew."""
        uses = [layer_use(count.tolist()) for count in self._counts]
        self.forget()
        return uses

    def forget(self) -> None:
        """Begin anew."""
        self._counts = [self._zero(module) for module in self._layers]

    def close(self) -> None:
        """Stop counting."""
        for hook in self._hooks:
            hook.remove()

    def _zero(self, module: Any) -> Tensor:
        return torch.zeros(module.num_experts + 1, dtype=torch.int64)

    def _counter(self, number: int) -> Any:
        def count(module: Any, arguments: Sequence[Tensor]) -> None:
            chosen = arguments[1].detach().flatten().clamp(max=module.num_experts)  # beyond the last: nobody's
            self._counts[number] += torch.bincount(chosen, minlength=module.num_experts + 1).cpu()

        return count


def layer_use(counts: Sequence[int]) -> LayerUse:
    """Return the use of one layer from its counts; the last is of assignments that no expert took."""
    *taken, dropped = counts
    kept = sum(taken)
    shares = [count / kept for count in taken]
    entropy = -sum(share * math.log(share) for share in shares if share) / math.log(len(shares))
    return LayerUse(shares, entropy, dropped / (kept + dropped))
