"""`forge mcp`: the server by which an agent connects."""

from pathlib import Path
from typing import Annotated

import typer

from forge_dagster.agents.quota import agents_file, load_agents
from forge_dagster.cli.tools.desk import Desk, quota_of
from forge_dagster.home import home


def command(
    agent: Annotated[
        str | None, typer.Option(help="NAME in agents.yaml whose quota holds; not needed if there is one.")
    ] = None,
    http: Annotated[bool, typer.Option("--http", help="Streamable HTTP on loopback in place of stdio.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="With --http.")] = 8765,
    host: Annotated[str, typer.Option(help="With --http: a loopback address.")] = "127.0.0.1",
    token_file: Annotated[
        Path | None, typer.Option(help="With --http: the bearer token; FORGE_MCP_TOKEN if not given.")
    ] = None,
) -> None:
    """Serve the Model Context Protocol to one agent: read, propose, plan, execute, watch, compare, search.

    What the agent may spend, read and ask stands in agents.yaml (`forge schema agents`). It is no more than a person
    does with `forge`, and less: promotion, approval, overrides, erasure and keys are no tools. What it is refused is
    in the ledger.

    Examples: `forge mcp` (an agent's program starts it and speaks over stdio); `forge mcp --http --port 8765`.
    """
    import anyio
    from mcp.server.stdio import stdio_server

    from forge_dagster.cli.tools.http import serve, token_of
    from forge_dagster.cli.tools.server import Front, make_server

    agents = load_agents(agents_file())
    front = Front(Desk(home(), agents, quota_of(agents, agent).name))
    if http:
        serve(front, token=token_of(token_file), host=host, port=port)
        return
    server = make_server(front)

    async def speak() -> None:
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    anyio.run(speak)
