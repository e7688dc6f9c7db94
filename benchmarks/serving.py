"""`forge serve` against its engine called bare: tokens a second, first tokens, and a load that is held.

`python -m benchmarks serving [--clients N ...] [--answers N] [--rounds N] [--hold SECONDS]`. Clients ask one question
after another, each greedily; the server is a process of its own, the bare engine runs in this one, in turn with it.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks import _training as shared
from benchmarks._answering_release import ANSWERS, answering_release
from forge_dagster.home import Home
from forge_dagster.model.engine import Engine
from forge_dagster.server.opened import open_release
from forge_dagster.tokens.encoding import encode_chat
from forge_dagster.training.precision import thread_limit, threads

TARGET = 0.95
SLOTS = 32
HELD = 8  # clients of the load that is held
PARTS = 10  # of its time, after each of which memory is read
QUESTIONS = list(ANSWERS)
Ask = Callable[[int, bool], Awaitable[tuple[int, float]]]
"""Number of a question, and whether it is streamed; tokens of the answer, and seconds to the first of them."""


def main(*arguments: str) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks serving", description=__doc__.split("\n\n")[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--answers", type=int, default=64, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hold", type=float, default=600, help="seconds of the load that is held; 0 leaves it out")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, thread_limit(threads()):
        home = Home(Path(folder) / "home")
        answering_release(home, shape=shared.shape())
        served = open_release(home, "small/release")
        with _server(home) as process:
            assert process.stdout is not None
            said = "".join(takewhile(lambda line: line != "}\n", process.stdout)) + "}"
            try:
                asyncio.run(_measure(Engine(served.folder, slots=SLOTS), json.loads(said)["url"], process.pid, asked))
            finally:
                process.terminate()


def _server(home: Home) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "forge_dagster.cli.main", "serve", "small", "--port", "0", "--json"]
    return subprocess.Popen(
        [*command, "--slots", str(SLOTS)],
        env={**os.environ, "FORGE_HOME": str(home.root)},
        text=True,
        stdout=subprocess.PIPE,
    )


async def _measure(engine: Engine, url: str, pid: int, asked: argparse.Namespace) -> None:
    engine.start()
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=600) as client:
            ways: dict[str, Ask] = {"served": _over_http(client), "bare": _bare(engine)}
            await _table(ways, asked)
            if asked.hold:
                await _hold(ways["served"], pid, asked.hold)
    finally:
        engine.stop()


async def _table(ways: dict[str, Ask], asked: argparse.Namespace) -> None:
    print(f"\nserved against bare, {asked.answers} answers a round, median of {asked.rounds} rounds (asked {TARGET})")
    print(f"{'':<26}{'served tokens/s':>16}{'bare tokens/s':>15}{'ratio':>7}{'first token, served':>21}{'bare':>10}")
    for clients in asked.clients:
        for streamed in (False, True):
            rates: dict[str, list[float]] = {name: [] for name in ways}
            firsts: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(asked.rounds):
                for name, ask in ways.items():
                    rate, first = await _load(ask, clients, asked.answers, streamed)
                    rates[name].append(rate)
                    firsts[name].append(first)
            ratios = [ours / theirs for ours, theirs in zip(rates["served"], rates["bare"], strict=True)]
            label = f"{clients} clients, {'streams' if streamed else 'whole answers'}"
            line = f"{label:<26}{statistics.median(rates['served']):>16,.0f}{statistics.median(rates['bare']):>15,.0f}"
            line += f"{statistics.median(ratios):>7.2f}"
            if streamed:
                served, bare = (1000 * statistics.median(firsts[name]) for name in ("served", "bare"))
                line += f"{served:>18,.1f} ms{bare:>7,.1f} ms"
            print(line, flush=True)


async def _load(ask: Ask, clients: int, answers: int, streamed: bool) -> tuple[float, float]:
    """Tokens a second and the median seconds to a first token, of so many clients that ask one after another."""
    waiting, found = iter(range(answers)), []

    async def one() -> None:
        for number in waiting:
            found.append(await ask(number, streamed))

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    seconds = time.perf_counter() - began
    return sum(tokens for tokens, _ in found) / seconds, statistics.median(first for _, first in found)


def _bare(engine: Engine) -> Ask:
    prompts = [encode_chat(engine.encoder, [{"role": "user", "content": each}], answer_next=True) for each in QUESTIONS]

    async def ask(number: int, streamed: bool) -> tuple[int, float]:
        prompt, began, first, tokens = prompts[number % len(prompts)], time.perf_counter(), 0.0, 0
        most = engine.context - len(prompt)
        async for ids in engine.answer(prompt, most=most, temperature=0, top_p=1, stepwise=streamed):
            first, tokens = first or time.perf_counter() - began, tokens + len(ids)
        return tokens, first

    return ask


def _over_http(client: httpx.AsyncClient) -> Ask:
    async def ask(number: int, streamed: bool) -> tuple[int, float]:
        turns = [{"role": "user", "content": QUESTIONS[number % len(QUESTIONS)]}]
        body: dict[str, Any] = {"model": "small", "messages": turns, "stream": streamed}
        began, first, usage = time.perf_counter(), 0.0, None
        if not streamed:
            reply = await client.post("/v1/chat/completions", json=body)
            return int(reply.raise_for_status().json()["usage"]["completion_tokens"]), time.perf_counter() - began
        body["stream_options"] = {"include_usage": True}
        async with client.stream("POST", "/v1/chat/completions", json=body) as reply:
            reply.raise_for_status()
            async for line in _lines(reply):
                first = first or time.perf_counter() - began
                usage = json.loads(line).get("usage") if '"usage"' in line else usage
        assert usage is not None
        return int(usage["completion_tokens"]), first

    return ask


async def _lines(reply: httpx.Response) -> AsyncIterator[str]:
    async for line in reply.aiter_lines():
        if line.startswith("data: {"):
            yield line.removeprefix("data: ")


async def _hold(ask: Ask, pid: int, seconds: float) -> None:
    """Hold a load; print the memory of the server as it goes."""
    process, answers, waits = psutil.Process(pid), 0, []
    print(f"\n{HELD} clients stream for {seconds:,.0f} s\n{'after':>8}{'answers':>10}{'memory':>12}")
    began = time.perf_counter()
    for part in range(1, PARTS + 1):
        while time.perf_counter() - began < seconds * part / PARTS:
            found = await asyncio.gather(*(ask(number, True) for number in range(HELD)))
            answers += len(found)
            waits += [first for _, first in found]
        memory = process.memory_info().rss / 1e6
        print(f"{time.perf_counter() - began:>6.0f} s{answers:>10,}{memory:>9,.1f} MB", flush=True)
    print(f"first token: median {1000 * statistics.median(waits):.1f} ms, longest {1000 * max(waits):.1f} ms")
