"""The same server over streamable HTTP: on loopback alone, for whoever holds the token."""

import hmac
import os
import stat
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from forge_dagster.cli.tools.server import Front, make_server
from forge_dagster.errors import UserError

VARIABLE = "FORGE_MCP_TOKEN"
SHORTEST_TOKEN = 32  # characters
MOST_BODY = 2 * 1024 * 1024  # bytes of a request


class Bearer:
    """Lets requests through that carry the token; the others are recorded, as many as the pace of calls allows."""

    def __init__(self, app: ASGIApp, token: str, front: Front) -> None:
        self.app, self.expected, self.front = app, f"Bearer {token}".encode(), front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("authorization", "").encode()
        if hmac.compare_digest(given, self.expected):
            await self.app(scope, receive, send)
            return
        if self.front.pace.allows(self.front.clock()):
            self.front.desk.journal.refuse("unknown", "http", "no token, or a wrong one", None)
        answer = JSONResponse({"error": "unauthorized"}, 401, {"WWW-Authenticate": "Bearer"})
        await answer(scope, receive, send)


def token_of(file: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """The token of a file that its owner alone can read, else of FORGE_MCP_TOKEN. Raises UserError."""
    if file is not None:
        if not file.is_file() or stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise UserError(
                f"--token-file {file}", rule="a file that its owner alone can read", mend=f"chmod 600 {file}"
            )
        token = file.read_text(encoding="utf-8").strip()
    else:
        token = environment.get(VARIABLE, "").strip()
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UserError(
            f"a token of {len(token)} characters",
            rule=f"at least {SHORTEST_TOKEN} printable ones, in --token-file or {VARIABLE}",
            mend="python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return token


def application(front: Front, token: str, host: str) -> ASGIApp:
    """The server as a web application. Raises UserError beyond loopback."""
    if host != "localhost" and not _is_loopback(host):
        raise UserError(f"--host {host}", rule="a loopback address", mend="leave it out; reach it through a tunnel")
    app = make_server(front).streamable_http_app(host="127.0.0.1", max_request_body_size=MOST_BODY)
    return Bearer(app, token, front)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def serve(front: Front, *, token: str, host: str, port: int) -> None:
    """Serve until a signal comes. Raises UserError beyond loopback."""
    uvicorn.run(application(front, token, host), host=host, port=port, log_level="warning", access_log=False)
