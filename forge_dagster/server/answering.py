"""Answers to prompts, so many at a time; who comes beyond these waits in order."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

from forge_dagster.server.asked import Asked
from forge_dagster.server.engine import Engine
from forge_dagster.server.measured import Measured
from forge_dagster.server.refused import Refused
from forge_dagster.server.watch import Watch
from forge_dagster.server.written import Written
from forge_dagster.tokens.control import ENDS

REMEMBERED = 1_000  # answers that can still be traced and rated


@dataclass
class Answer:
    """One answer in the making; `question` is what was asked, kept for feedback alone and only if that is wanted."""

    read: int
    most: int
    question: str | None = None
    name: str = field(default_factory=lambda: f"forge-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))
    text: str = ""
    tokens: int = 0
    end: Literal["stop", "length"] | None = None
    rating: int = 0

    @property
    def usage(self) -> dict[str, int]:
        total = self.read + self.tokens
        return {"prompt_tokens": self.read, "completion_tokens": self.tokens, "total_tokens": total}


class Answering:
    """The engine behind `slots`, and the last answers that it gave."""

    def __init__(self, engine: Engine, measured: Measured, watch: Watch, *, slots: int) -> None:
        self.engine, self.measured, self.watch = engine, measured, watch
        self.free = asyncio.Semaphore(slots)
        self.remembered: OrderedDict[str, Answer] = OrderedDict()

    def room(self, prompt: list[int], wanted: int | None) -> int:
        """Most tokens of an answer to a prompt. Raises Refused (400) if what is wanted does not fit."""
        context = self.engine.context
        room = context - len(prompt)
        if room < (wanted or 1):
            raise Refused(
                400,
                "context_length_exceeded",
                f"the prompt has {len(prompt)} tokens and the answer {wanted or 1}",
                rule=f"together at most {context}, the model's context",
                mend="shorten the prompt" if room < 1 else f"shorten the prompt, or ask for at most {room}",
            )
        return wanted or room

    async def write(self, prompt: list[int], answer: Answer, asked: Asked) -> AsyncGenerator[str, None]:
        """Yield pieces of text until the answer is whole; whoever leaves early frees slot and cache."""
        began, measured = time.monotonic(), self.measured
        try:
            with measured.waiting.track_inprogress():
                await self.free.acquire()
            try:
                with measured.running.track_inprogress():
                    async with aclosing(self._pieces(prompt, answer, asked, began)) as pieces:
                        async for piece in pieces:
                            yield piece
            finally:
                self.free.release()
        finally:
            measured.answers.labels(answer.end or "unfinished").inc()
            measured.tokens.labels("answer").inc(answer.tokens)
        measured.whole.observe(time.monotonic() - began)
        self.watch.answered(answer.text)
        self.remembered[answer.name] = answer
        while len(self.remembered) > REMEMBERED:
            self.remembered.popitem(last=False)

    async def _pieces(self, prompt: list[int], answer: Answer, asked: Asked, began: float) -> AsyncGenerator[str, None]:
        written = Written(self.engine.encoder, asked.stops)
        self.measured.tokens.labels("prompt").inc(answer.read)
        # Stop sequences are looked for at every step, so that nothing is generated beyond one.
        stepwise = asked.stream or bool(asked.stops)
        steps = self.engine.answer(
            prompt, most=answer.most, temperature=asked.temperature, top_p=asked.top_p, stepwise=stepwise
        )
        async with aclosing(steps):
            async for ids in steps:
                if not answer.tokens and stepwise:
                    self.measured.first.observe(time.monotonic() - began)
                answer.tokens += len(ids)
                ended = answer.tokens >= answer.most or (bool(ids) and ids[-1] in ENDS)
                new = written.add(ids, is_last=ended)
                answer.text = written.text
                if ended or written.has_stopped:
                    stopped = written.has_stopped or ids[-1] in ENDS
                    answer.end = "stop" if stopped else "length"
                if new:
                    yield new
                if answer.end is not None:
                    return

    def recall(self, name: str) -> Answer:
        """An answer that was given. Raises Refused (404) if it was not, or too many came after it."""
        if name not in self.remembered:
            raise Refused(
                404, "unknown_response", f"no answer {name[:80]!r}", rule=f"the last {REMEMBERED:,} answers are known"
            )
        return self.remembered[name]
