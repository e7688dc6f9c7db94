"""A conversation with a checkpoint: template, greedy or sampled decoding, the answer as text."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from forge_dagster.tokens.control import END


class Conversation:
    """Turns of one chat over a Hugging Face folder."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
        self.stop = self.tokenizer.convert_tokens_to_ids(END)

    @torch.inference_mode()
    def ask(self, question: str, *, max_new_tokens: int, temperature: float) -> str:
        """Answer one question; `temperature` 0 is greedy. The question's text never becomes control tokens."""
        ids = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": question}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        sampling = {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False}
        output = self.model.generate(
            **ids,
            max_new_tokens=max_new_tokens,
            eos_token_id=self.stop,
            pad_token_id=self.tokenizer.pad_token_id,
            **sampling,
        )
        return self.tokenizer.decode(output[0, ids["input_ids"].shape[1] :], skip_special_tokens=True).strip()
