"""Distillation by logits: the student's distribution over each token of an answer is drawn to the teacher's."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel
from trl import SFTTrainer

from forge_dagster.training.batches import IGNORED


def forward_kl(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Mean over positions of KL(teacher || student), both at `temperature`, in nats; logits are [positions, tokens]."""
    targets = functional.log_softmax(teacher.float() / temperature, dim=-1)
    found = functional.log_softmax(student.float() / temperature, dim=-1)
    return functional.kl_div(found, targets, log_target=True, reduction="batchmean")


class DistillationTrainer(SFTTrainer):
    """SFT whose loss is hard_share of the cross entropy and the rest temperature**2 times the forward KL divergence.

    The square keeps gradients alike at any temperature (Hinton et al. 2015, section 2).
    """

    def __init__(self, *, teacher: PreTrainedModel, temperature: float, hard_share: float, **options: Any) -> None:
        super().__init__(**options)
        # Prepared, it computes in the precision that the student does.
        self.teacher = self.accelerator.prepare_model(teacher.requires_grad_(False).eval(), evaluation_mode=True)
        self.temperature, self.hard_share = temperature, hard_share

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        inputs = dict(inputs) | {"use_cache": False}
        labels = inputs.pop("labels")
        scored = labels[:, 1:] != IGNORED
        if self.aux_loss_enabled:
            inputs["output_router_logits"] = True
        outputs = model(**inputs)
        inputs.pop("output_router_logits", None)
        with torch.no_grad():
            teacher = self.teacher(**inputs).logits[:, :-1][scored]
        student = outputs.logits[:, :-1][scored]
        with torch.set_grad_enabled(self.hard_share > 0 and torch.is_grad_enabled()):
            hard = functional.cross_entropy(student.float(), labels[:, 1:][scored])
        soft = forward_kl(student, teacher, self.temperature)
        loss = self.hard_share * hard + (1 - self.hard_share) * self.temperature**2 * soft
        if self.aux_loss_enabled:
            loss = loss + self.router_aux_loss_coef * outputs.aux_loss
        self._metrics["train"]["cross_entropy"].append(hard.item())
        self._metrics["train"]["kl"].append(soft.item())
        return (loss, outputs) if return_outputs else loss
