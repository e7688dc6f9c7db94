"""A model in a folder on this machine, asked in this process."""

from pathlib import Path
from typing import Any

from forge_dagster.chance import number
from forge_dagster.errors import SourceError
from forge_dagster.model.folder import load_model
from forge_dagster.model.scan import scan_folder
from forge_dagster.model.weights_config import digest_of
from forge_dagster.pair_source import Generator
from forge_dagster.pairs.asking import Unanswered


class Checkpoint:
    """A checkpoint in Hugging Face's layout, scanned before it is read; greedy at temperature 0."""

    def __init__(self, folder: Path, source: Generator) -> None:
        from transformers import AutoTokenizer

        scan_folder(folder)
        self.folder, self.source = folder, source
        self.model = load_model(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        if not self.tokenizer.chat_template:
            raise SourceError(f"{folder} has no chat template", rule="a model is asked in its own chat")
        # A document's text must not become one of these; the special tokens of a chat stand for themselves alone.
        self.special = [token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special]

    def identity(self) -> str:
        """Digest of the folder's bytes."""
        return digest_of(self.folder)

    def ask(self, messages: list[dict[str, str]], schema: dict[str, Any]) -> str:
        """The reply; `schema` is what the prompt asks for, to which `generate` holds nobody."""
        import torch

        if any(token in message["content"] for message in messages for token in self.special):
            raise Unanswered("control-token", again=False)
        prompt = torch.tensor([self._ids(messages, answer_next=True)])
        if prompt.shape[1] + self.source.max_tokens > self.model.config.max_position_embeddings:
            raise Unanswered("longer-than-the-context", again=False)
        sampling = {"do_sample": False}
        if self.source.temperature > 0:
            torch.manual_seed(number(self.source.seed, str(messages)) % 2**31)
            sampling = {"do_sample": True, "temperature": self.source.temperature}  # type: ignore[dict-item]
        ends = {self.tokenizer.eos_token_id, *self._turn_ends()}
        with torch.inference_mode():
            output = self.model.generate(  # type: ignore[operator]
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=self.source.max_tokens,
                eos_token_id=sorted(end for end in ends if end is not None),
                pad_token_id=self.tokenizer.pad_token_id or 0,
                **sampling,
            )
        return str(self.tokenizer.decode(output[0, prompt.shape[1] :], skip_special_tokens=True))

    def _ids(self, messages: list[dict[str, str]], *, answer_next: bool) -> list[int]:
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=answer_next)
        return list(self.tokenizer(str(text), add_special_tokens=False)["input_ids"])

    def _turn_ends(self) -> set[int]:
        """The token with which a turn of the chat ends: the last special one of an assistant's message."""
        turn = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        ids = self._ids(turn, answer_next=False)
        special = [token for token in ids if token in self.tokenizer.added_tokens_decoder]
        return set(special[-1:])
