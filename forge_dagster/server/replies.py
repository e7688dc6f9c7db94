"""Answers in the shapes that OpenAI's clients read: whole, or as server-sent events."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from forge_dagster.errors import ForgeError
from forge_dagster.server.answering import Answer
from forge_dagster.server.opened import Served
from forge_dagster.server.refused import Refused


@dataclass(frozen=True)
class Form:
    """One of the two interfaces: the names of its objects, and how a text stands in a choice."""

    whole: str
    piece: str
    is_chat: bool

    def choice(self, text: str, end: str | None, *, is_piece: bool, begins: bool = False) -> dict[str, Any]:
        said: dict[str, Any] = {"text": text}
        if self.is_chat:
            turn = {"role": "assistant"} if begins or not is_piece else {}
            said = {"delta" if is_piece else "message": {**turn, **({"content": text} if text or not is_piece else {})}}
        return {"index": 0, **said, "logprobs": None, "finish_reason": end}


CHAT = Form(whole="chat.completion", piece="chat.completion.chunk", is_chat=True)
TEXT = Form(whole="text_completion", piece="text_completion", is_chat=False)


def whole(form: Form, served: Served, answer: Answer) -> dict[str, Any]:
    """The answer as one object."""
    choice = form.choice(answer.text, answer.end, is_piece=False)
    return {**_head(form.whole, served, answer), "choices": [choice], "usage": answer.usage}


async def events(
    form: Form,
    served: Served,
    answer: Answer,
    first: Sequence[str],
    pieces: AsyncGenerator[str, None],
    *,
    with_usage: bool,
) -> AsyncIterator[bytes]:
    """The answer as server-sent events, a piece each; an engine that stops in the middle is told as an error.

    `first` are the pieces that were taken before the stream began.
    """
    head = _head(form.piece, served, answer)
    try:
        async with aclosing(pieces):
            if form.is_chat:
                yield _event({**head, "choices": [form.choice("", None, is_piece=True, begins=True)]})
            for piece in first:
                yield _event({**head, "choices": [form.choice(piece, None, is_piece=True)]})
            async for piece in pieces:
                yield _event({**head, "choices": [form.choice(piece, None, is_piece=True)]})
    except ForgeError as error:
        yield _event(Refused(500, "stopped", error.problem, mend=error.mend).body())
        return
    yield _event({**head, "choices": [form.choice("", answer.end, is_piece=True)]})
    if with_usage:
        yield _event({**head, "choices": [], "usage": answer.usage})
    yield b"data: [DONE]\n\n"


def _head(kind: str, served: Served, answer: Answer) -> dict[str, Any]:
    named = {"id": answer.name, "object": kind, "created": answer.created}
    return {**named, "model": served.recipe, "system_fingerprint": str(served)}


def _event(body: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
