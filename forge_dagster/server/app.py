"""The routes of a server, and one that is run on a socket."""

import asyncio
import resource
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from forge_dagster.errors import DataError, ForgeError
from forge_dagster.home import Home
from forge_dagster.server.answering import Answer, Answering
from forge_dagster.server.asked import Asked, ChatAsked, FeedbackAsked, TextAsked, TraceAsked, read
from forge_dagster.server.engine import Engine
from forge_dagster.server.feedback import Feedback
from forge_dagster.server.gate import Gate, Impatient, body_of, until_gone
from forge_dagster.server.measured import CONTENT_TYPE_LATEST, Measured
from forge_dagster.server.opened import Served
from forge_dagster.server.page import HEADERS, page
from forge_dagster.server.refused import Refused
from forge_dagster.server.replies import CHAT, TEXT, Form, events, whole
from forge_dagster.server.traced import Traces
from forge_dagster.server.use import Tally
from forge_dagster.server.watch import Watch
from forge_dagster.stage import FrozenModel
from forge_dagster.tokens.control import END_OF_TEXT_ID
from forge_dagster.tokens.encoding import encode_chat

SMALLEST_BODY, BYTES_A_TOKEN = 64 << 10, 32  # a body may be so large: JSON and words longer than usual have room
MOST_CONNECTIONS = 2_048
LOCAL = ["127.0.0.1", "localhost", "::1", "[::1]"]
"""Names by which a browser may call a server on loopback; another name is a page of elsewhere that resolves to it."""


class Options(FrozenModel):
    """How a release is served; a server with a token may be called by any name."""

    slots: int
    queue: int
    token: str | None
    feedback_days: int
    keep_prompts: bool
    refusals: tuple[str, ...]
    measure_every: int


class Server:
    """One release, its engine and what people do with its answers."""

    def __init__(self, home: Home, served: Served, engine: Engine, options: Options) -> None:
        self.served, self.engine, self.options = served, engine, options
        self.measured, self.traces, self.since = Measured(served), Traces(home, served), int(time.time())
        tally = Tally(home, served)
        self.watch = Watch(engine, tally, self.measured, refusals=options.refusals, every=options.measure_every)
        self.answering = Answering(engine, self.measured, self.watch, slots=options.slots)
        self.feedback = Feedback(home, served, days=options.feedback_days, keeps_prompts=options.keep_prompts)
        self.largest = SMALLEST_BODY + BYTES_A_TOKEN * engine.context

    def app(self) -> Starlette:
        """The ASGI application; its lifespan starts and stops the engine."""
        release, token = str(self.served), self.options.token
        places = self.options.slots + self.options.queue
        hosts = LOCAL if self.options.token is None else ["*"]
        return Starlette(
            routes=[
                Route("/", self.show_page),
                Route("/health", self.health),
                Route("/metrics", self.metrics),
                Route("/v1/models", self.models),
                Route("/v1/models/{name:path}", self.model),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/completions", self.complete, methods=["POST"]),
                Route("/trace", self.trace, methods=["POST"]),
                Route("/feedback", self.take_feedback, methods=["POST"]),
            ],
            middleware=[
                Middleware(Gate, release=release, token=token, places=places, measured=self.measured),
                Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
            ],
            exception_handlers={Refused: _refused, HTTPException: _http, ClientDisconnect: _left},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self.engine.start()
        self.watching = asyncio.create_task(self.watch.run())
        try:
            yield
        finally:
            self.watching.cancel()
            await asyncio.wait({self.watching})  # however it ended, the engine stops too
            self.engine.stop()

    async def show_page(self, request: Request) -> Response:
        return Response(page(), media_type="text/html", headers=HEADERS)

    async def health(self, request: Request) -> Response:
        parts = {"engine": self.engine.is_alive, "measure of prompts": not self.watching.done()}
        stopped = " and ".join(name for name, alive in parts.items() if not alive)
        status = f"the {stopped} stopped" if stopped else "ok"
        return JSONResponse({"status": status}, status_code=503 if stopped else 200)

    async def metrics(self, request: Request) -> Response:
        return Response(self.measured.text(), media_type=CONTENT_TYPE_LATEST)

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._told()]})

    async def model(self, request: Request) -> Response:
        self._is_served(request.path_params["name"])
        return JSONResponse(self._told())

    def _told(self) -> dict[str, Any]:
        feedback = {"keeps_prompts": self.options.keep_prompts, "days": self.options.feedback_days}
        return {
            "id": self.served.recipe, "object": "model", "created": self.since, "owned_by": "forge",
            "release": str(self.served), "context": self.engine.context, "label": dict(self.served.label),
            "feedback": feedback,
        }  # fmt: skip

    def _is_served(self, name: str) -> None:
        names = (self.served.recipe, self.served.key, str(self.served))
        if name not in names:
            raise Refused(
                404, "model_not_found", f"no model {name[:120]!r}", rule=f"one of {', '.join(names)}", param="model"
            )

    async def chat(self, request: Request) -> Response:
        asked = read(ChatAsked, await body_of(request, self.largest))
        self._is_served(asked.model)
        turns = [turn.model_dump() for turn in asked.messages]
        if turns[-1]["role"] == "assistant":
            raise Refused(400, "invalid_value", "the last message is the assistant's", rule="the user's is answered")
        try:
            prompt = await asyncio.to_thread(encode_chat, self.engine.encoder, turns, answer_next=True)
        except DataError as error:
            raise Refused(400, "invalid_value", error.problem, rule=error.rule, mend=error.mend) from error
        self.watch.asked(turns[-1]["content"])
        question = turns[0]["content"] if len(turns) == 1 and self.options.keep_prompts else None
        return await self._answer(request, CHAT, asked, prompt, question)

    async def complete(self, request: Request) -> Response:
        asked = read(TextAsked, await body_of(request, self.largest))
        self._is_served(asked.model)
        encoded = await asyncio.to_thread(self.engine.encoder.encode, asked.prompt, add_special_tokens=False)
        self.watch.asked(asked.prompt)
        # Every document that was trained on stands behind the end of another.
        return await self._answer(request, TEXT, asked, [END_OF_TEXT_ID, *encoded.ids], None)

    async def _answer(
        self, request: Request, form: Form, asked: Asked, prompt: list[int], question: str | None
    ) -> Response:
        answer = Answer(read=len(prompt), most=self.answering.room(prompt, asked.most), question=question)
        pieces = self.answering.write(prompt, answer, asked)
        first: list[str] = []
        try:
            # A stream begins with its first piece, so that whatever fails before it has a status of its own.
            await until_gone(request, asyncio.create_task(_take(pieces, first, at_most=1 if asked.stream else None)))
        except ForgeError as error:
            raise Refused(503, "stopped", error.problem, mend=error.mend) from error
        if not asked.stream:
            return JSONResponse(whole(form, self.served, answer))
        with_usage = asked.stream_options is not None and asked.stream_options.include_usage
        told = events(form, self.served, answer, first, pieces, with_usage=with_usage)
        return StreamingResponse(told, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def trace(self, request: Request) -> Response:
        asked = read(TraceAsked, await body_of(request, self.largest))
        return JSONResponse(await self.traces.of(self.answering.recall(asked.response).text))

    async def take_feedback(self, request: Request) -> Response:
        said = read(FeedbackAsked, await body_of(request, self.largest))
        answer = self.answering.recall(said.response)
        pairs = self.feedback.take(said, answer, self.answering.remembered.values())
        self.measured.feedback.labels(str(said.rating)).inc()
        return JSONResponse({"response": said.response, "rating": said.rating, "pairs": pairs}, status_code=201)


async def _take(pieces: AsyncIterator[str], into: list[str], *, at_most: int | None) -> None:
    """Take pieces until there are so many, or no more."""
    async for piece in pieces:
        into.append(piece)
        if len(into) == at_most:
            return


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error.response()


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = Refused(error.status_code, "http", f"{request.method} {request.url.path}: {error.detail}")
    return said.response()


async def _left(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it; the count of requests shows it


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.create_server((host, port), family=family, backlog=MOST_CONNECTIONS)
    made.set_inheritable(True)
    return made


def server_of(app: Starlette) -> uvicorn.Server:
    """A server of the application; what is being answered when it is told to stop has five seconds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = 2 * MOST_CONNECTIONS
    if soft < enough:  # a shell's usual 1,024 files are fewer than the connections that may be open
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(enough, hard) if hard >= 0 else enough, hard))
    config = uvicorn.Config(
        app, http=Impatient, ws="none", log_level="warning", access_log=False, server_header=False,
        limit_concurrency=MOST_CONNECTIONS, timeout_keep_alive=30, timeout_graceful_shutdown=5,
    )  # fmt: skip
    return uvicorn.Server(config)


def announced(served: Served, listening: socket.socket) -> dict[str, Any]:
    """What a server says of itself when it listens."""
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return {"url": url, "release": str(served), "label": dict(served.label)}
