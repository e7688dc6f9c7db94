"""What a server asks of whatever generates: transformers in this process, or vLLM in one of its own."""

from collections.abc import AsyncGenerator
from typing import Protocol

from tokenizers import Tokenizer


class Engine(Protocol):
    """A model that answers many prompts at a time; token ids in, token ids out."""

    encoder: Tokenizer
    context: int
    """Tokens of a prompt and its answer together."""

    def start(self) -> None:
        """Begin to take prompts; called where the event loop runs."""

    def stop(self) -> None:
        """End; what is being answered ends with an error."""

    @property
    def is_alive(self) -> bool:
        """Whether it takes prompts."""

    async def surprise(self, text: str) -> tuple[float, int]:
        """Surprise at a text as a document [bits], and the UTF-8 bytes of as much of it as the context holds."""

    def answer(
        self, prompt: list[int], *, most: int, temperature: float, top_p: float, stepwise: bool
    ) -> AsyncGenerator[list[int], None]:
        """Yield the token ids that follow a prompt, at most `most`: all at once, or `stepwise` as they come.

        Temperature 0 takes the likeliest token each time. Whoever leaves early, or is cancelled, ends the generation.
        Raises ForgeError if the engine stopped.
        """
