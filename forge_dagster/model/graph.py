"""A model as one ONNX graph of a forward pass, with keys and values of the tokens before as inputs and outputs."""

from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.cache_utils import DynamicCache

INPUTS, OUTPUTS = ("input_ids", "keys", "values"), ("logits", "all_keys", "all_values")


class OneStep(torch.nn.Module):
    """A forward pass in plain tensors: the mask and the positions follow from their shapes."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens [batch, length]; keys and values so far [layers, batch, heads, before, size]."""
        cache = DynamicCache()
        for layer in range(keys.shape[0]):
            cache.update(keys[layer], values[layer], layer)
        before = keys.shape[3]
        places = torch.arange(before + input_ids.shape[1])
        mine = places[before:]
        hidden = torch.where(places[None, :] <= mine[:, None], 0.0, torch.finfo(torch.float32).min)
        output = self.model(
            input_ids=input_ids,
            attention_mask=hidden[None, None].expand(input_ids.shape[0], 1, -1, -1),
            position_ids=mine[None].expand(input_ids.shape[0], -1),
            past_key_values=cache,
            use_cache=True,
        )
        layers = output.past_key_values.layers
        return output.logits, torch.stack([each.keys for each in layers]), torch.stack([each.values for each in layers])


def write_graph(folder: Path, path: Path) -> None:
    """Write the float32 model of a folder as `path`, its weights beside it: one file of this format ends at 2 GB."""
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        attn_implementation="eager",
        # A loop over the experts that were hit depends on the data; this gathers their weights instead.
        experts_implementation="batched_mm",
        local_files_only=True,
    ).eval()
    config = model.config
    shape = (config.num_hidden_layers, 2, config.num_key_value_heads, 3, config.head_dim)
    example = (torch.tensor([[1, 2, 3, 4], [1, 3, 2, 4]]), torch.zeros(shape), torch.zeros(shape))
    batch, length, before = (torch.export.Dim(name) for name in ("batch", "length", "before"))
    with torch.inference_mode():
        torch.onnx.export(
            OneStep(model).eval(), example, path, dynamo=True, verbose=False,
            input_names=list(INPUTS), output_names=list(OUTPUTS),
            dynamic_shapes=({0: batch, 1: length}, {1: batch, 3: before}, {1: batch, 3: before}),
        )  # fmt: skip
