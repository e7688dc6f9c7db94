"""Counts refusals among answers, and has the model's surprise at some prompts measured: drift, of which nothing is kept
but sums."""

import asyncio
import time
from collections.abc import Sequence

from forge_dagster.retraining import Use
from forge_dagster.server.engine import Engine
from forge_dagster.server.measured import Measured
from forge_dagster.server.use import Tally

WAITING = 16  # prompts that wait to be measured; more are passed over, for answers come first
WRITTEN_EVERY = 60.0  # seconds: so much is lost of a server that is killed


class Watch:
    """Of one server: every `every`th prompt is measured, 0: none; an answer that begins as a refusal is one."""

    def __init__(
        self, engine: Engine, tally: Tally, measured: Measured, *, refusals: Sequence[str], every: int
    ) -> None:
        self.engine, self.tally, self.measured = engine, tally, measured
        self.refusals, self.every = tuple(refusals), every
        self.asked_so_far = 0
        self.waiting: asyncio.Queue[str] = asyncio.Queue(WAITING)

    def asked(self, text: str) -> None:
        """A prompt came."""
        if self.every and self.asked_so_far % self.every == 0 and text and not self.waiting.full():
            self.waiting.put_nowait(text)
        self.asked_so_far += 1

    def answered(self, text: str) -> None:
        """An answer is whole."""
        is_refusal = text.strip().startswith(self.refusals)
        self.tally.add(Use(answers=1, refusals=int(is_refusal)))
        if is_refusal:
            self.measured.refusals.inc()

    async def run(self) -> None:
        """Measure what waits, one prompt at a time, and write the sums; until it is cancelled."""
        written = time.monotonic()
        try:
            while True:
                try:
                    text = await asyncio.wait_for(self.waiting.get(), WRITTEN_EVERY)
                except TimeoutError:
                    self.tally.write()
                    continue
                bits, size = await self.engine.surprise(text)
                self.tally.add(Use(prompts=1, bits=bits, bytes=size))
                self.measured.prompt_bits.inc(bits)
                self.measured.prompt_bytes.inc(size)
                # Under a load that never lets the queue run empty a minute is all that is lost, too.
                if self.waiting.empty() or time.monotonic() - written >= WRITTEN_EVERY:
                    self.tally.write()
                    written = time.monotonic()
        finally:
            self.tally.write()
