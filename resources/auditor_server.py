"""Dagster's web server for auditors: everything can be looked at, and whatever would change something is refused.

Dagster's own read-only mode lets some mutations through (it asks for their arguments first, and a few need no
permission), so documents with a mutation are refused before Dagster sees them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dagster as dg
import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.version import __version__
from dagster_webserver.webserver import DagsterWebserver
from graphql import GraphQLSyntaxError, OperationDefinitionNode, OperationType, parse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

REFUSED = "this server is for auditors: it starts and changes nothing"


class AuditorServer(DagsterWebserver):
    """Refuses every document that holds a mutation, whichever operation of it is asked for."""

    async def execute_graphql_request(
        self, request: Request, query: str, variables: dict[str, Any] | None, operation_name: str | None
    ) -> JSONResponse:
        if _changes_something(query):
            return JSONResponse({"data": None, "errors": [{"message": REFUSED}]}, status_code=403)
        return await super().execute_graphql_request(request, query, variables, operation_name)


def _changes_something(query: str) -> bool:
    try:
        document = parse(query)
    except GraphQLSyntaxError:
        return False  # Dagster cannot run it either, and says what is wrong with it
    return any(
        isinstance(each, OperationDefinitionNode) and each.operation == OperationType.MUTATION
        for each in document.definitions
    )


def serve(workspace: str, port: int) -> None:
    """Serve the workspace file on 127.0.0.1 until a signal stops it."""
    with (
        dg.DagsterInstance.get() as instance,
        WorkspaceProcessContext(
            instance, version=__version__, read_only=True, workspace_load_target=WorkspaceFileTarget(paths=[workspace])
        ) as context,
    ):
        app = AuditorServer(context).create_asgi_app(lifespan=_lifespan)
        uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    try:
        yield
    except asyncio.CancelledError:
        return  # Ctrl-C: the connections of open pages are dropped
