"""A server in this process over an engine that says what a test tells it, so that the way there and back is tested."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any

from tokenizers import Tokenizer

from forge_dagster.home import Home
from forge_dagster.server.app import Options, Server, bound, server_of
from forge_dagster.server.opened import Served
from forge_dagster.tokens.bpe import trained
from forge_dagster.tokens.control import END_ID

REPLY = "The blue lamp on the north pier is lit at seven in the evening."
OPTIONS = {
    "slots": 2, "queue": 2, "token": None, "feedback_days": 30, "keep_prompts": False,
    "refusals": ("I may not",), "measure_every": 2,
}  # fmt: skip


def encoder() -> Tokenizer:
    """A tokenizer of the project's make, that keeps control tokens' names as text."""
    made = trained(iter([[REPLY] * 2]), vocab_size=300)
    made.encode_special_tokens = True
    return made


class Scripted:
    """Says `reply`, a token a step of `pause` seconds; counts who is inside, remembers what it was asked."""

    def __init__(self, reply: str = REPLY, *, pause: float = 0.0, context: int = 256) -> None:
        self.encoder, self.context = encoder(), context
        self.reply, self.pause = reply, pause
        self.is_alive, self.inside, self.cut_off = False, 0, 0
        self.prompts: list[list[int]] = []

    def start(self) -> None:
        self.is_alive = True

    def stop(self) -> None:
        self.is_alive = False

    async def surprise(self, text: str) -> tuple[float, int]:
        await asyncio.sleep(self.pause)
        return 3.0 * len(text.encode()), len(text.encode())

    async def answer(
        self, prompt: list[int], *, most: int, temperature: float, top_p: float, stepwise: bool
    ) -> AsyncGenerator[list[int], None]:
        self.prompts.append(prompt)
        self.inside += 1
        done = False
        try:
            ids = [*self.encoder.encode(self.reply, add_special_tokens=False).ids, END_ID][:most]
            for token in ids if stepwise else ():
                await asyncio.sleep(self.pause)
                yield [token]
            if not stepwise:
                await asyncio.sleep(self.pause * len(ids))
                yield ids
            done = True
        finally:
            self.inside -= 1
            # Whoever has the last token does not ask for another, and leaves here too.
            self.cut_off += not done


@contextmanager
def serving(home: Home, served: Served, engine: Any, **options: Any) -> Iterator[str]:
    """Serve in a thread; give the address."""
    app = Server(home, served, engine, Options(**{**OPTIONS, **options})).app()
    listening = bound("127.0.0.1", 0)
    server = server_of(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=60)
        assert not thread.is_alive()
