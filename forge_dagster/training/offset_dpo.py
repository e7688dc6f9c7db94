"""DPO with an offset (Amini et al. 2024, equation 9): loss = -log sigmoid(beta * difference of log-ratios - offset)."""

from collections.abc import Sequence
from typing import Any

import torch
from trl import DPOTrainer

OFFSET = "offset"


class OffsetDPOTrainer(DPOTrainer):
    """TRL's DPOTrainer over rows with a further column `offset`.

    TRL takes the references' log-probabilities from a batch that has them. The chosen answer's is raised by
    offset / beta there, which is the same loss. `rewards/accuracies` so counts the pairs that exceed their offset.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.precompute_ref_logps = True
        self.data_collator = _with_offset(self.data_collator)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns: Any = self._signature_columns
        if OFFSET not in columns:
            columns.append(OFFSET)

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        inputs = dict(inputs)
        offset = inputs.pop(OFFSET)
        reference = self.model if self.ref_model is None else self.ref_model  # TRL takes an adapter off for it
        chosen, rejected = self.compute_ref_log_probs(reference, inputs)
        inputs |= {"ref_chosen_logps": chosen + offset / self.beta, "ref_rejected_logps": rejected}
        loss = super()._compute_loss(model, inputs, return_outputs)
        for name in ("rewards/chosen", "rewards/margins"):  # of the model itself, without the offset
            self._metrics["train"][name][-1] += offset.mean().item()
        return loss


def _with_offset(collate: Any) -> Any:
    def collated(examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {**collate(examples), OFFSET: torch.tensor([example[OFFSET] for example in examples])}

    return collated
