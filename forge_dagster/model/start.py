"""The model a training goes on from: a checkpoint, or open weights with their embeddings laid out for our tokenizer."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel

from forge_dagster.errors import WeightsError
from forge_dagster.model.folder import load_model
from forge_dagster.tokens.control import END_OF_TEXT_ID, ENDS, PAD_ID
from forge_dagster.tokens.inherited import ORIGINS


def going_on_model(checkpoint: Path, positions: int) -> PreTrainedModel:
    """Load a checkpoint of ours in float32 and training mode; `positions` is its longest context from now on."""
    model = load_model(checkpoint)
    model.config.max_position_embeddings = positions
    return model.train()


def starting_model(weights: Path, tokenizer: Path) -> PreTrainedModel:
    """Load float32 weights in training mode; each token starts as the mean of the embeddings of its origins.

    Raises WeightsError if the tokenizer was not inherited from these weights.
    """
    origins = json.loads((tokenizer / ORIGINS).read_bytes())
    model = load_model(weights)
    old = len(_tables(model)[0].weight)
    largest = max(max(ids) for ids in origins)
    if largest >= old:
        raise WeightsError(f"a token comes from embedding {largest}, there are {old}", rule="tokenizer and weights fit")
    rows = [_means(table.weight.detach(), origins) for table in _tables(model)]
    model.resize_token_embeddings(len(origins), mean_resizing=False)
    with torch.no_grad():
        for table, values in zip(_tables(model), rows, strict=True):
            table.weight.copy_(values)
    for name, value in (("bos", END_OF_TEXT_ID), ("eos", END_OF_TEXT_ID), ("pad", PAD_ID), ("unk", None)):
        setattr(model.config, f"{name}_token_id", value)
    model.generation_config = GenerationConfig(
        bos_token_id=END_OF_TEXT_ID, eos_token_id=list(ENDS), pad_token_id=PAD_ID
    )
    return model.train()


def _tables(model: PreTrainedModel) -> list[Any]:
    """The input embeddings, and the output's unless they are the same."""
    tables: list[Any] = [model.get_input_embeddings(), model.get_output_embeddings()]
    return tables[:1] if tables[0].weight is tables[1].weight else tables


def _means(table: Tensor, origins: list[list[int]]) -> Tensor:
    """[tokens, width]: the mean of the rows that each token comes from."""
    flat = torch.tensor([number for ids in origins for number in ids])
    offsets = torch.tensor([0, *(len(ids) for ids in origins[:-1])]).cumsum(0)
    return nn.functional.embedding_bag(flat, table, offsets, mode="mean")
