"""A model with its optimizers on one device: gradients of a batch, an update, and all of it as named tensors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from forge_dagster.tokens.order import Span
from forge_dagster.tokens.reader import Documents
from forge_dagster.training import attention, norm
from forge_dagster.training.batches import Batch, pack
from forge_dagster.training.checkpoint import Checkpoint
from forge_dagster.training.cost import Cost
from forge_dagster.training.execution import Execution
from forge_dagster.training.objective import Objective
from forge_dagster.training.optimizer import Optimizers, Rates
from forge_dagster.training.settings import Settings

SHORT = 256
"""Tokens of a row up to which plain products beat torch's fused attention on CPU by two fifths; beyond, memory grows
with the square and little is gained."""


class Learner:
    """What the loop knows of a model and of who computes. More processes (zero.py) are another class of this shape."""

    is_main = True
    """Whether this process writes what all share."""

    def __init__(self, model: PreTrainedModel, documents: Documents, settings: Settings, execution: Execution) -> None:
        self.model, self.documents, self.settings, self.execution = model, documents, settings, execution
        torch.nn.Module.to(model, execution.device)
        if execution.device == "cpu" and settings.sequence_length <= SHORT:
            model.set_attn_implementation(attention.NAME)
        if execution.device == "cpu" and not execution.compiled:
            norm.use_blocked_norms(model)
        if execution.recompute:
            model.activation_checkpointing_enable({"use_reentrant": False})
        self.cost, self.objective = Cost(model), Objective(model, execution)
        self.prepare()

    def prepare(self) -> None:
        """Make what updates the weights."""
        self.optimizers = Optimizers(
            self.model,
            rates_of(self.settings),
            momentum=self.settings.muon_momentum,
            weight_decay=self.settings.weight_decay,
            dtype=self.objective.dtype,
        )

    def gradients(self, rows: Sequence[Sequence[Span]]) -> tuple[float, float]:
        """Accumulate the gradients of one batch, then clip them.

        Returns the loss in nats per token, the router's part left out, and the norm before clipping.
        """
        loss = 0.0
        for batch, share in self.parts(rows, of=len(rows)):
            total, part = self.objective(batch, share)
            total.backward()
            loss += float(part)
        found = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(found)
        if norm > self.settings.clip_norm:
            torch._foreach_mul_(found, float(self.settings.clip_norm / norm))
        return loss, float(norm)

    def parts(self, rows: Sequence[Sequence[Span]], *, of: int) -> Iterator[tuple[Batch, float]]:
        """Cut rows into what one forward pass takes, each with its share of a batch of `of` rows."""
        length, at_once = self.settings.sequence_length, self.execution.micro_rows(self.settings.sequence_length)
        for begin in range(0, len(rows), at_once):
            part = rows[begin : begin + at_once]
            yield pack(self.documents, part, length), len(part) / of

    def update(self, share: float) -> None:
        """Move the weights at `share` of the peak learning rates, and drop the gradients."""
        self.optimizers.step(share)

    def skip(self) -> None:
        """Drop the gradients."""
        self.optimizers.drop_gradients()

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Return all that the next step depends on."""
        return {
            "model": {name: parameter.detach() for name, parameter in self.model.named_parameters()},
            "optimizer": self.optimizers.state(),
            "random": {"torch": torch.get_rng_state()},
        }

    def load(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take up what `tensors` returned."""
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(tensors["model"][name])
        self.optimizers.load(tensors["optimizer"])
        torch.set_rng_state(tensors["random"]["torch"])

    @property
    def state_bytes(self) -> int:
        """About what `tensors` takes on the disk: weights, one momentum for Muon, two for AdamW."""
        return self.optimizers.state_bytes

    def agree(self, *wishes: bool) -> tuple[bool, ...]:
        """Return which of these any process wishes; the same answer for all. Without wishes: wait for all."""
        return wishes

    def total(self, counts: Tensor) -> Tensor:
        """Return the sum of these over all processes."""
        return counts

    def whole(self, parameters: Sequence[Tensor]) -> AbstractContextManager[Any]:
        """Have these parameters whole inside the block, wherever their parts lie."""
        return nullcontext()

    def find(self, newest: Callable[[], Checkpoint | None], at: Callable[[int], Checkpoint]) -> Checkpoint | None:
        """Return the `newest` checkpoint; processes that may not touch the folder read the one `at` its step."""
        return newest()


def rates_of(settings: Settings) -> Rates:
    """Peak learning rates by kind of parameter."""
    return Rates(settings.muon_lr, settings.embedding_lr, settings.head_lr, settings.norm_lr, settings.router_lr)
