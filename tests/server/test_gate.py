"""The gate alone: a reader that takes nothing gives its place back."""

import asyncio
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from benchmarks._small_release import KEY, LABEL
from forge_dagster.server import gate
from forge_dagster.server.gate import Gate, TooSlow
from forge_dagster.server.measured import Measured
from forge_dagster.server.opened import Served


def test_a_reader_that_takes_nothing_gives_its_place_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "READ_SECONDS", 0.05)
    ended: list[BaseException] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await send({"type": "http.response.body", "body": b"much", "more_body": True})
        except TooSlow as error:
            ended.append(error)
            raise

    async def blocked(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def asked() -> Message:
        return {"type": "http.disconnect"}

    measured = Measured(Served(key=KEY, digest="0" * 64, folder=tmp_path, label=LABEL))
    made = Gate(app, release="r", token=None, places=1, measured=measured)
    scope = {"type": "http", "method": "POST", "path": "/trace", "headers": []}
    asyncio.run(made(scope, asked, blocked))
    assert len(ended) == 1, "what was being answered is told"
    assert made.taken == 0
