"""Speaks as vLLM's server of OpenAI's interface does, in token ids, over the socket that it is told.

Its answers are the prompt's own tokens in reverse, then the end of an answer. A prompt that begins with 7 is refused,
one that begins with 8 fails in the middle, one that begins with 9 goes on for ever.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

END = 4
said = dict(zip(sys.argv[::1], sys.argv[1:], strict=False))
told = Path(said["--model"]) / "asked.jsonl"


def choice(ids: list[int], **more: Any) -> dict[str, Any]:
    return {"object": "text_completion", "choices": [{"index": 0, "text": "", "token_ids": ids, **more}]}


async def complete(request: Request) -> Response:
    body = await request.json()
    with told.open("a") as stream:
        stream.write(json.dumps(body) + "\n")
    prompt = body["prompt"]
    if prompt[0] == 7:
        return JSONResponse({"error": {"message": "no such thing"}}, status_code=400)
    if "prompt_logprobs" in body:
        places = [{str(token): {"logprob": -0.5}, "0": {"logprob": -0.1}} for token in prompt[1:]]
        return JSONResponse(choice([1], prompt_logprobs=[None, *places]))
    ids = [*prompt[::-1], END][: body["max_tokens"]]
    if not body["stream"]:
        return JSONResponse(choice(ids))
    return StreamingResponse(events(prompt[0], ids), media_type="text/event-stream")


async def events(first: int, ids: list[int]) -> AsyncIterator[str]:
    try:
        for token in ids if first != 9 else iter(lambda: 9, 0):
            yield f"data: {json.dumps(choice([token]))}\n\n"
            await asyncio.sleep(0.01)
            if first == 8:
                yield 'data: {"error": {"message": "the engine is dead"}}\n\n'
                return
        yield "data: [DONE]\n\n"
    finally:
        with told.open("a") as stream:
            stream.write('"left"\n')


async def health(request: Request) -> Response:
    return Response()


routes = [Route("/health", health), Route("/v1/completions", complete, methods=["POST"])]
uvicorn.run(Starlette(routes=routes), uds=said["--uds"], log_level="warning")
