"""A release's own model as a runner: what its exports are compared with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from forge_dagster.export import Row, batches, padded, scored
from forge_dagster.model.folder import load_model
from forge_dagster.tokens.control import END_ID, END_OF_TEXT_ID, PAD_ID
from forge_dagster.tokens.encoding import encode_batch, load_encoder


class Transformers:
    """The float32 model of a Hugging Face folder."""

    def __init__(self, folder: Path) -> None:
        self.encoder, self.model = load_encoder(folder), load_model(folder)

    def encode(self, text: str) -> list[int]:
        return encode_batch(self.encoder, [text])[0]

    @torch.inference_mode()
    def log_probabilities(self, rows: Sequence[Row]) -> list[np.ndarray]:
        found: list[np.ndarray] = []
        for batch in batches(rows, self.model.config.vocab_size):
            logits = self.model(input_ids=torch.from_numpy(padded(batch))).logits.numpy()
            found += [scored(values, row) for values, row in zip(logits, batch, strict=True)]
        return found

    @torch.inference_mode()
    def greedy(self, prompt: Sequence[int], tokens: int) -> list[int]:
        ids = torch.tensor([list(prompt)])
        said = self.model.generate(  # type: ignore[operator]
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=tokens,
            do_sample=False,
            eos_token_id=[END_OF_TEXT_ID, END_ID],
            pad_token_id=PAD_ID,
        )[0, len(prompt) :].tolist()
        return said[:-1] if said[-1:] and said[-1] in (END_OF_TEXT_ID, END_ID) else said
