"""The gate in front of every request: who may ask, how many at once, how long a reader may keep the server waiting."""

import asyncio
import hmac

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from forge_dagster.server.measured import Measured
from forge_dagster.server.refused import Refused

PATHS = ("/", "/health", "/metrics", "/v1/models", "/v1/chat/completions", "/v1/completions", "/trace", "/feedback")
"""Those that are counted each by itself; of others there may be any number."""
OPEN = ("/", "/health")
"""What needs no token: the page holds nothing of the organisation, and a probe has none."""
HEADER_SECONDS = 20.0  # for the first request of a connection to say what it wants
BODY_SECONDS = 20.0  # for its body to arrive
READ_SECONDS = 30.0  # for a reader to take what was sent
RETRY = 2  # seconds after which one that was refused may come again


class TooSlow(OSError):
    """A reader took nothing for READ_SECONDS."""


class Gate:
    """Around the routes: token, places, the release on every response, counts."""

    def __init__(self, app: ASGIApp, *, release: str, token: str | None, places: int, measured: Measured) -> None:
        self.app, self.release, self.token = app, release, token
        self.places, self.taken, self.measured = places, 0, measured

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-forge-release"] = self.release
                path = scope["path"] if scope["path"] in PATHS else "other"
                self.measured.requests.labels(path, str(message["status"])).inc()
            try:
                async with asyncio.timeout(READ_SECONDS):
                    await send(message)
            except TimeoutError:
                raise TooSlow(f"nothing was read for {READ_SECONDS:.0f} s") from None

        holds = scope["method"] == "POST"
        refused = self._refused(scope) or (self._full() if holds else None)
        if refused is not None:
            await refused.response()(scope, receive, answer)
            return
        self.taken += holds
        try:
            await self.app(scope, receive, answer)
        except TooSlow:
            return  # uvicorn closes a connection whose response was not completed
        finally:
            self.taken -= holds

    def _refused(self, scope: Scope) -> Refused | None:
        if self.token is None or scope["path"] in OPEN:
            return None
        said = Headers(scope=scope).get("authorization", "")
        if hmac.compare_digest(said.encode(), f"Bearer {self.token}".encode()):
            return None
        return Refused(401, "no_token", "the token is missing or another", rule="Authorization: Bearer TOKEN")

    def _full(self) -> Refused | None:
        if self.taken < self.places:
            return None
        return Refused(
            503,
            "overloaded",
            f"{self.taken} requests are inside",
            rule="who comes beyond slots and queue is not let in",
            mend="try again later",
            after=RETRY,
        )


async def body_of(request: Request, most: int) -> bytes:
    """The body of a request. Raises Refused if it is no JSON (415), larger than `most` bytes (413), or slow (408)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A page of another site may send a form or plain text without asking, and cannot send this.
    if kind != "application/json":
        raise Refused(415, "not_json", f"content-type {kind!r}", rule="a body is application/json")
    too_large = Refused(413, "too_large", "the body is too large", rule=f"at most {most:,} bytes")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > most:
        raise too_large
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                data += part
                if len(data) > most:
                    raise too_large
    except TimeoutError:
        raise Refused(408, "too_slow", f"the body took longer than {BODY_SECONDS:.0f} s") from None
    return bytes(data)


async def until_gone(request: Request, work: asyncio.Task[None]) -> None:
    """Wait for work that a client waits for. If the client leaves, cancel the work and raise ClientDisconnect."""
    watch = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientDisconnect
    finally:
        for each in (work, watch):
            each.cancel()
        await asyncio.wait({work, watch})
    work.result()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Impatient(H11Protocol):
    """Uvicorn's HTTP/1.1, except that a connection which asks for nothing is closed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(HEADER_SECONDS, self.give_up)

    def give_up(self) -> None:
        """Close the connection if no request has come."""
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()
