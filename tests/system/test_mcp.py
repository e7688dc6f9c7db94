"""Real clients of the SDK speak to `forge mcp` over stdio and over HTTP; one of them leads a model through its life."""

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
import yaml
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from nano import Organisation, nano_recipe

from forge_dagster.provenance.ledger import Ledger

pytestmark = pytest.mark.system
TOKEN = "a-token-of-more-than-thirty-two-characters"
QUOTA = {"name": "tuner", "sources": ["sample"], "hours": 2, "trials": 5, "tokens": 100_000}


@pytest.fixture(scope="module")
def led(organisation: Callable[[], Organisation]) -> Organisation:
    """A nano organisation with one agent, and a recipe of a base stage alone."""
    made = organisation()
    (made.root / "agents.yaml").write_text(yaml.safe_dump({"agents": [QUOTA]}))
    made.environment["FORGE_AGENTS"] = str(made.root / "agents.yaml")
    recipe = nano_recipe("nano")
    (made.root / "recipes" / "nano.yaml").write_text(yaml.safe_dump(recipe | {"stages": recipe["stages"][:1]}))
    return made


def stdio(organisation: Organisation) -> Client:
    """A client that starts the server, as an agent's program does."""
    arguments = ["-m", "forge_dagster.cli.main", "mcp"]
    return Client(StdioServerParameters(command=sys.executable, args=arguments, env=organisation.environment))


async def ask(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that must answer."""
    found = await client.call_tool(name, arguments)
    answer = json.loads(found.content[0].text)
    assert not found.is_error, answer
    return answer


async def done(client: Client, target: str) -> dict[str, Any]:
    """Plan, execute and watch to the end."""
    plan = await ask(client, "plan", target=target)
    run = await ask(client, "execute", target=target, plan=plan["plan"])
    while (seen := await ask(client, "watch", run=run["run"], wait_seconds=25))["state"] == "running":
        pass
    assert seen["state"] == "done", seen
    return {"plan": plan, "run": run, "seen": seen}


def test_a_life_of_a_model(led: Organisation):
    async def live() -> None:
        async with stdio(led) as client:
            await done(client, "readiness")
            assert (await ask(client, "readiness"))["assessment"]["train_documents"] > 10
            recipe = (await ask(client, "recipes", recipe="nano"))["recipe"]
            recipe["name"], recipe["seed"] = "tried", 21
            proposal = await ask(client, "propose", proposal={"kind": "recipe", "recipe": recipe}, why="Another seed.")
            early = await client.call_tool("plan", {"target": "tried"})
            assert early.is_error, "what waits for a person is no recipe"
            taken = await anyio.to_thread.run_sync(led.forge, "proposals", "accept", proposal["id"])
            assert taken.returncode == 0, taken.stderr
            life = await done(client, "tried")
            assert life["plan"]["cost"]["operations"] > 0
            stale = await client.call_tool("execute", {"target": "tried", "plan": life["plan"]["plan"]})
            assert "no longer holds" in stale.content[0].text
            await done(client, "nano")
            compared = await ask(client, "compare", recipe="tried", **{"with": "nano"})
            assert compared["items"] == "development"
            card = await ask(client, "scorecard", recipe="tried")
            assert card["passed"]
            asked = await client.call_tool("promote", {"release": "tried/release"})
            assert asked.is_error
            assert "needs a person" in asked.content[0].text
            used = (await ask(client, "budget"))["used"]
            assert used["trials"] == 3
            assert 0 < used["spent_hours"] < QUOTA["hours"]
            assert used["tokens"] == 2 * 40_960
            runs = (await ask(client, "runs", most=10))["runs"]
            assert {run["actor"] for run in runs} == {"agent:tuner"}

    anyio.run(live)
    made = {entry["statement"]["actor"] for entry in Ledger(led.home / "ledger.jsonl").of("artifact")}
    assert made == {"agent:tuner"}
    verified = led.forge("verify", "tried/release")
    assert verified.returncode == 0, verified.stderr


def test_the_quota_holds_in_another_server_too(led: Organisation):
    """A new process counts from the ledger; what the first one started is not forgotten."""
    (led.root / "agents.yaml").write_text(yaml.safe_dump({"agents": [{**QUOTA, "trials": 3}]}))

    async def more() -> str:
        async with stdio(led) as client:
            recipe = led.root / "recipes" / "nano.yaml"
            recipe.write_text(yaml.safe_dump(yaml.safe_load(recipe.read_text()) | {"seed": 99}))
            plan = await ask(client, "plan", target="nano")
            refused = await client.call_tool("execute", {"target": "nano", "plan": plan["plan"]})
            assert refused.is_error
            return str(refused.content[0].text)

    assert "trials: 4 would be used of 3" in anyio.run(more)
    stale = led.forge("run", "--recipe", "nano", "--plan", "0" * 64)
    assert stale.returncode == 4, stale.stderr
    assert "no longer holds" in stale.stderr


@asynccontextmanager
async def http(url: str, token: str) -> Any:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as caller,
        Client(streamable_http_client(url, http_client=caller)) as client,
    ):
        yield client


def test_over_http_with_the_token_alone(led: Organisation, tmp_path: Path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = tmp_path / "token"
    token.write_text(TOKEN)
    os.chmod(token, 0o600)
    server = led.start("mcp", "--http", "--port", str(port), "--token-file", str(token))
    url = f"http://127.0.0.1:{port}/mcp"
    try:
        deadline = time.monotonic() + 120
        while (status := _status(url)) is None:
            assert server.poll() is None, server.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert status == 401
        assert _status(url, {"Authorization": f"Bearer {TOKEN}", "Host": "evil.example"}) in (403, 421)

        async def speak() -> dict[str, Any]:
            async with http(url, TOKEN) as client:
                return await ask(client, "budget")

        assert anyio.run(speak)["quota"]["name"] == "tuner"
    finally:
        server.terminate()
        server.communicate(timeout=60)
    beyond = led.forge("mcp", "--http", "--host", "0.0.0.0", "--token-file", str(token))
    assert beyond.returncode == 2
    assert "loopback" in beyond.stderr
    refused = [entry["statement"] for entry in Ledger(led.home / "ledger.jsonl").of("agent-refused")]
    assert any(each["agent"] == "unknown" and each["tool"] == "http" for each in refused)


def _status(url: str, headers: dict[str, str] | None = None) -> int | None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accepted = {"Accept": "application/json, text/event-stream", **(headers or {})}
    try:
        return httpx2.post(url, json=body, headers=accepted).status_code
    except httpx2.ConnectError:
        return None
