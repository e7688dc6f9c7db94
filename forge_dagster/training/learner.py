"""A model with its optimizers on one device: gradients of a batch, an update, and all of it as named tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from forge_dagster.tokens.order import Span
from forge_dagster.tokens.reader import Documents
from forge_dagster.training.batches import Batch, pack
from forge_dagster.training.execution import Execution
from forge_dagster.training.loss import head_cross_entropy
from forge_dagster.training.optimizer import Optimizers, Rates
from forge_dagster.training.precision import autocast
from forge_dagster.training.settings import Settings

SHORT = 256
"""Tokens of a row up to which plain products beat torch's fused attention on CPU by two fifths; beyond, memory grows
with the square and little is gained."""


class Learner:
    """What the loop knows of a model. Another way to compute (more processes) is another class with these methods."""

    def __init__(self, model: PreTrainedModel, documents: Documents, settings: Settings, execution: Execution) -> None:
        self.model, self.documents, self.settings, self.execution = model, documents, settings, execution
        self.dtype: torch.dtype = getattr(torch, execution.dtype)
        self.routed = hasattr(model.config, "router_aux_loss_coef")
        torch.nn.Module.to(model, execution.device)
        if execution.device == "cuda" and self.routed:
            model.set_experts_implementation("grouped_mm")
        if execution.device == "cpu" and settings.sequence_length <= SHORT:
            model.set_attn_implementation("eager")
        if execution.recompute:
            model.activation_checkpointing_enable({"use_reentrant": False})
        self.body: Any = torch.compile(model.base_model, dynamic=False) if execution.compiled else model.base_model
        self.optimizers = Optimizers(
            model,
            Rates(settings.muon_lr, settings.embedding_lr, settings.head_lr, settings.norm_lr, settings.router_lr),
            momentum=settings.muon_momentum,
            weight_decay=settings.weight_decay,
            dtype=self.dtype,
        )

    def gradients(self, rows: Sequence[Sequence[Span]]) -> tuple[float, float]:
        """Accumulate the gradients of one batch, then clip them.

        Returns the loss in nats per token, the router's part left out, and the norm before clipping.
        """
        length, at_once = self.settings.sequence_length, self.execution.micro_rows(self.settings.sequence_length)
        loss = 0.0
        for begin in range(0, len(rows), at_once):
            part = rows[begin : begin + at_once]
            loss += self._backward(pack(self.documents, part, length), share=len(part) / len(rows))
        found = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(found)
        if norm > self.settings.clip_norm:
            torch._foreach_mul_(found, float(self.settings.clip_norm / norm))
        return loss, float(norm)

    def _backward(self, batch: Batch, share: float) -> float:
        """Add the gradients of a part of the batch; its loss counts by its share of the rows."""
        device, config = self.execution.device, self.model.config
        with autocast(self.execution.dtype, device):
            output = self.body(
                input_ids=batch.inputs.to(device),
                position_ids=batch.positions.to(device),
                use_cache=False,  # with a cache, transformers does not look for packed documents
                **({"output_router_logits": True} if self.routed else {}),
            )
        hidden, head = output.last_hidden_state.flatten(0, 1), self.model.get_output_embeddings().weight
        labels = batch.labels.flatten().to(device)
        loss = head_cross_entropy(hidden, head, labels, self.dtype) * (share / batch.labels.numel())
        total = loss
        if self.routed:
            balance = load_balancing_loss_func(
                output.router_logits, config.num_local_experts, config.num_experts_per_tok
            )
            total = loss + share * config.router_aux_loss_coef * balance
        total.backward()
        return float(loss.detach())

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
