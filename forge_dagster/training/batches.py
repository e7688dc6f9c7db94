"""Turns spans of documents into the tensors of one batch, packed so that attention never crosses documents."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from forge_dagster.tokens.order import Span
from forge_dagster.tokens.reader import Documents

IGNORED = -100
"""Label of a place that is not scored; what torch's cross entropy ignores."""


class Batch(NamedTuple):
    """Tensors [rows, sequence_length], int64.

    Positions begin at 0 in every span. From that, with neither mask nor cache given, transformers 5 makes the
    block-causal mask itself (masking_utils.find_packed_sequence_indices).
    """

    inputs: Tensor
    labels: Tensor
    positions: Tensor


def pack(documents: Documents, rows: Sequence[Sequence[Span]], sequence_length: int) -> Batch:
    """Lay the spans of each row side by side.

    The end of a short row is filled with places that are not scored, and so are those of erased documents.
    """
    shape = (len(rows), sequence_length)
    inputs, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    labels = np.full(shape, IGNORED, np.int64)
    for number, spans in enumerate(rows):
        begin = 0
        for span in spans:
            end = begin + span.length
            inputs[number, begin:end], wanted = documents.window(*span)
            if documents.sizes[span.document]:
                labels[number, begin:end] = wanted
            positions[number, begin:end] = np.arange(span.length)
            begin = end
        positions[number, begin:] = np.arange(sequence_length - begin)
    return Batch(torch.from_numpy(inputs), torch.from_numpy(labels), torch.from_numpy(positions))
