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
QUOTA = {"name": "tuner", "sources": ["sample"], "hours": 2, "trials": 6, "tokens": 100_000}
GATE = {"metric": "validation.bits_per_byte", "below_untrained_by": 1.0}
STUDY = {
    "name": "rates", "recipe": "nano", "seed": 1, "metric": "validation_bits_per_byte",
    "space": {"base.muon_lr": {"low": 0.005, "high": 0.05, "log": True}}, "trials": 2, "operations": None,
    "proxy": {"tokens": 2048, "width": 32}, "batch": 2, "pieces": 1, "sampler": "tpe", "pruner": "none",
}  # fmt: skip


@pytest.fixture(scope="module")
def led(organisation: Callable[[], Organisation]) -> Organisation:
    """A nano organisation with one agent, and a recipe of a base stage alone."""
    made = organisation()
    (made.root / "agents.yaml").write_text(yaml.safe_dump({"agents": [QUOTA]}))
    made.environment |= {"FORGE_AGENTS": str(made.root / "agents.yaml"), "FORGE_STUDIES": str(made.root / "studies")}
    recipe = nano_recipe("nano")
    recipe |= {"stages": recipe["stages"][:1], "gates": [GATE]}
    (made.root / "recipes" / "nano.yaml").write_text(yaml.safe_dump(recipe))
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


async def ended(client: Client, target: str) -> dict[str, Any]:
    """Plan, execute and watch to the end."""
    plan = await ask(client, "plan", target=target)
    run = await ask(client, "execute", target=target, plan=plan["plan"])
    while (seen := await ask(client, "watch", run=run["run"], wait_seconds=25))["state"] == "running":
        pass
    return {"plan": plan, **seen}


async def done(client: Client, target: str) -> dict[str, Any]:
    """The same of what must succeed."""
    seen = await ended(client, target)
    assert seen["state"] == "done", seen
    return seen


async def taken_over(client: Client, led: Organisation, why: str, **body: Any) -> None:
    """Propose something, and have a person take it over."""
    proposal = await ask(client, "propose", proposal=body, why=why)
    done = await anyio.to_thread.run_sync(led.forge, "proposals", "accept", proposal["id"])
    assert done.returncode == 0, done.stderr


def test_a_life_of_a_model(led: Organisation):
    """Assess, search, propose, train, be held by the gate, mend, train, compare, ask for promotion."""

    async def live() -> None:
        async with stdio(led) as client:
            await done(client, "readiness")
            assert (await ask(client, "readiness"))["assessment"]["train_documents"] > 10

            early = await client.call_tool("plan", {"target": "study/rates"})
            assert early.is_error, "what no person took over is no study"
            await taken_over(client, led, "Rates may be too low.", kind="study", study=STUDY)
            searched = await done(client, "study/rates")
            assert searched["plan"]["cost"]["tokens"] == 2 * 2048
            study = await ask(client, "study", study="rates")
            assert [each["state"] for each in study["trials"]] == ["complete", "complete"]

            recipe = (await ask(client, "recipes", recipe="nano"))["recipe"]
            settings = recipe["stages"][0]["settings"]
            enough = settings["tokens"]
            settings |= {"muon_lr": study["proposal"]["base.muon_lr"], "tokens": enough // 10}
            recipe["name"] = "hasty"
            await taken_over(client, led, "The study's rate, and a tenth of the tokens.", kind="recipe", recipe=recipe)
            held = await ended(client, "hasty")
            assert (held["state"], held["exit_code"]) == ("failed", 4)
            assert held["errors"][0]["key"] == "hasty/release"
            card = await ask(client, "scorecard", recipe="hasty")
            assert not card["passed"]
            assert card["gates"][0]["metric"] == "validation.bits_per_byte"

            recipe["name"], settings["tokens"] = "tried", enough
            await taken_over(client, led, "All the tokens.", kind="recipe", recipe=recipe)
            life = await done(client, "tried")
            assert life["plan"]["cost"]["operations"] > 0
            stale = await client.call_tool("execute", {"target": "tried", "plan": life["plan"]["plan"]})
            assert "no longer holds" in stale.content[0].text
            assert (await ask(client, "scorecard", recipe="tried"))["passed"]
            await done(client, "nano")
            compared = await ask(client, "compare", recipe="tried", **{"with": "nano"})
            assert compared["items"] == "development"

            asked = await client.call_tool("promote", {"release": "tried/release"})
            assert asked.is_error
            assert "needs a person" in asked.content[0].text
            used = (await ask(client, "budget"))["used"]
            assert used["trials"] == QUOTA["trials"]
            assert 0 < used["spent_hours"] < QUOTA["hours"]
            assert used["tokens"] == 2 * 2048 + enough // 10 + 2 * enough
            runs = (await ask(client, "runs", most=10))["runs"]
            assert {run["actor"] for run in runs} == {"agent:tuner"}

    anyio.run(live)
    made = {entry["statement"]["actor"] for entry in Ledger(led.home / "ledger.jsonl").of("artifact")}
    assert made == {"agent:tuner"}
    assert "hasty/release" not in led.digests()
    verified = led.forge("verify", "tried/release")
    assert verified.returncode == 0, verified.stderr


def test_the_quota_holds_in_another_server_too(led: Organisation):
    """A new process counts from the ledger; what the first one started is not forgotten."""

    async def more() -> str:
        async with stdio(led) as client:
            recipe = led.root / "recipes" / "nano.yaml"
            recipe.write_text(yaml.safe_dump(yaml.safe_load(recipe.read_text()) | {"seed": 99}))
            plan = await ask(client, "plan", target="nano")
            refused = await client.call_tool("execute", {"target": "nano", "plan": plan["plan"]})
            assert refused.is_error
            return str(refused.content[0].text)

    assert "trials: 7 would be used of 6" in anyio.run(more)
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
