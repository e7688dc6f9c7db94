"""A conversation with a checkpoint: template, greedy or sampled decoding, the answer as text."""

from pathlib import Path

import torch

from forge_dagster.model.folder import load_model
from forge_dagster.tokens.control import END_ID, PAD_ID
from forge_dagster.tokens.encoding import encode_chat, load_encoder


class Conversation:
    """Turns of one chat over a Hugging Face folder."""

    def __init__(self, folder: Path) -> None:
        self.encoder = load_encoder(folder)
        self.model = load_model(folder)

    @torch.inference_mode()
    def ask(self, question: str, *, max_new_tokens: int, temperature: float) -> str:
        """Answer one question; `temperature` 0 is greedy. The question's text never becomes control tokens."""
        ids = encode_chat(self.encoder, [{"role": "user", "content": question}], answer_next=True)
        prompt = torch.tensor([ids])
        sampling = {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False}
        output = self.model.generate(  # type: ignore[operator]
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=max_new_tokens,
            eos_token_id=END_ID,
            pad_token_id=PAD_ID,
            **sampling,
        )
        return self.encoder.decode(output[0, len(ids) :].tolist(), skip_special_tokens=True).strip()
