"""What a training minimises: the mean cross entropy of the next token and, in a mixture, the balance of the routers."""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from forge_dagster.training.batches import IGNORED, Batch
from forge_dagster.training.execution import Execution
from forge_dagster.training.loss import head_cross_entropy
from forge_dagster.training.precision import autocast


class Objective(torch.nn.Module):
    """A module of its own, so that what distributes a model sees the whole forward pass, loss and head included."""

    def __init__(self, model: PreTrainedModel, execution: Execution) -> None:
        super().__init__()
        self.model, self.execution = model, execution
        self.dtype: torch.dtype = getattr(torch, execution.dtype)
        self.routed = hasattr(model.config, "router_aux_loss_coef")
        body = torch.compile(model.base_model, dynamic=False) if execution.compiled else model.base_model
        self._body: Any = (body,)  # in a tuple, it is not registered a second time: it is a part of the model

    def forward(self, batch: Batch, share: float) -> tuple[Tensor, Tensor]:
        """Return what to differentiate and the cross entropy in nats, both of a part of a batch, its `share` of it."""
        config: Any = self.model.config
        device = self.execution.device
        with autocast(self.execution.dtype, device):
            output = self._body[0](
                input_ids=batch.inputs.to(device),
                position_ids=batch.positions.to(device),
                use_cache=False,  # with a cache, transformers does not look for packed documents
                **({"output_router_logits": True} if self.routed else {}),
            )
        hidden, head = output.last_hidden_state.flatten(0, 1), self.model.get_output_embeddings().weight
        labels = batch.labels.flatten()
        scored = labels != IGNORED
        if not scored.all():  # else all of it as it is: a copy of what is scored would cost time at every step
            hidden, labels = hidden[scored.to(device)], labels[scored]
        # What is not scored counts among the tokens of a batch: the others weigh as much as they did beside it.
        loss = head_cross_entropy(hidden, head, labels.to(device), self.dtype) * (share / scored.numel())
        if not self.routed:
            return loss, loss.detach()
        balance = load_balancing_loss_func(output.router_logits, config.num_local_experts, config.num_experts_per_tok)
        return loss + share * config.router_aux_loss_coef * balance, loss.detach()
