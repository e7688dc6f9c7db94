"""One model for many who ask at once: transformers' continuous batching, spoken to from an event loop."""

import asyncio
import copy
import math
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig

from forge_dagster.errors import ForgeError
from forge_dagster.model.folder import load_model
from forge_dagster.tokens.control import END_OF_TEXT_ID, ENDS, PAD_ID
from forge_dagster.tokens.encoding import load_encoder

PAGE = 64  # tokens of a block of the cache
STEP_TOKENS = 256  # most tokens of one forward pass: a long prompt is read in pieces, between which others go on
STOPPING = 10.0  # seconds that a forward pass may take to end


class Engine:
    """A Hugging Face folder whose model answers at most `slots` prompts at a time, each with sampling of its own."""

    def __init__(self, folder: Path, *, slots: int) -> None:
        self.encoder = load_encoder(folder)
        model: Any = load_model(folder)
        self.context = int(model.config.max_position_embeddings)
        self.vocabulary = int(model.config.vocab_size)
        # The same weights once more without the cache in pages, which a forward pass of its own does not have.
        weights = [*model.parameters(), *model.buffers()]
        self._plain = copy.deepcopy(model, {id(each): each for each in weights}).eval()
        # Values other than neutral ones, or transformers leaves the processor out, for every request.
        sampled = GenerationConfig(
            do_sample=True, temperature=0.5, top_k=50, top_p=0.9, eos_token_id=list(ENDS), pad_token_id=PAD_ID
        )
        self._manager = model.init_continuous_batching(
            generation_config=sampled,
            continuous_batching_config=ContinuousBatchingConfig(
                page_size=PAGE,
                # Room for every slot at its longest: nothing that is being answered is ever put aside.
                num_blocks=slots * -(-self.context // PAGE) + 1,
                safety_margin=0.0,
                max_batch_tokens=max(STEP_TOKENS, slots),
                max_requests_per_batch=slots,
                per_request_processors=True,
                # A shared prefix answers faster, by which one user can find out what another asked.
                allow_block_sharing=False,
                use_async_batching=False,
                auto_switch_to_flash=False,
            ),
        )

    def start(self) -> None:
        """Start the thread that generates."""
        self._manager.start()

    def stop(self) -> None:
        """Stop it; what is being answered ends with an error."""
        self._manager.stop(block=True, timeout=STOPPING, hard_stop=True)

    @property
    def is_alive(self) -> bool:
        return bool(self._manager.is_running()) and self._manager.background_thread_status.fatal_error is None

    async def surprise(self, text: str) -> tuple[float, int]:
        """Surprise at a text as a document [bits], and the UTF-8 bytes of as much of it as the context holds."""
        return await asyncio.to_thread(self._surprise, text)

    @torch.inference_mode()
    def _surprise(self, text: str) -> tuple[float, int]:
        ids = [END_OF_TEXT_ID, *self.encoder.encode(text, add_special_tokens=False).ids][: self.context]
        logits = self._plain(input_ids=torch.tensor([ids], device=self._plain.device)).logits[0, :-1].float()
        nats = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:], device=logits.device), reduction="sum")
        return float(nats) / math.log(2), len(self.encoder.decode(ids[1:], skip_special_tokens=False).encode())

    async def answer(
        self, prompt: list[int], *, most: int, temperature: float, top_p: float, stepwise: bool
    ) -> AsyncGenerator[list[int], None]:
        """Yield the token ids that follow a prompt, at most `most`: all at once, or `stepwise` as they come.

        Temperature 0 takes the likeliest token each time. Whoever leaves early, or is cancelled, ends the generation.
        Raises ForgeError if the engine stopped.
        """
        name, arrived, given = uuid4().hex, asyncio.Event(), 0
        latest: Any = None

        def take(output: Any) -> None:
            # What a slow reader has not taken yet is in the next output too: one is kept, however slow it is.
            nonlocal latest
            latest = output
            arrived.set()

        if temperature > 0:
            sampling = {"temperature": float(temperature), "top_k": self.vocabulary, "top_p": float(top_p)}
        else:
            sampling = {"temperature": 1.0, "top_k": 1, "top_p": 1.0}
        self._manager.register_result_handler(name, take)
        try:
            asked = {"request_id": name, "max_new_tokens": most, "streaming": stepwise, "eos_token_id": list(ENDS)}
            if not self.is_alive or self._manager.add_request(prompt, **asked, **sampling) is None:
                raise _stopped("it takes no request")
            while latest is None or not latest.is_finished():
                await arrived.wait()
                arrived.clear()
                if latest.error is not None:
                    raise _stopped(latest.error)
                new, given = latest.generated_tokens[given:], len(latest.generated_tokens)
                yield new
        finally:
            if latest is None or not latest.is_finished():
                self._manager.cancel_request(name)
            router = self._manager.output_router
            router.result_handlers.pop(name, None)
            # What was under way when a request was cancelled goes to a queue that nobody else reads.
            while not router.output_queue.empty():
                router.output_queue.get_nowait()


def _stopped(why: str) -> ForgeError:
    return ForgeError(f"the engine stopped: {why}", mend="start `forge serve` again")
