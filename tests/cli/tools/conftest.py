"""A case, and a real client of the SDK that speaks to its server in this process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from agents_case import Case
from mcp import Client

from forge_dagster.cli.tools.server import Front, make_server
from forge_dagster.home import Home

Call = Callable[..., tuple[bool, dict[str, Any]]]


@pytest.fixture
def case(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A small home."""
    return Case(tmp_path / "organisation", home, monkeypatch)


@pytest.fixture
def front(case: Case) -> Front:
    """The front of the agent `tuner`."""
    return Front(case.desk())


@pytest.fixture
def call(front: Front) -> Call:
    """Call a tool; return whether it was refused, and the answer."""

    def one(name: str, **arguments: Any) -> tuple[bool, dict[str, Any]]:
        async def speak() -> Any:
            async with Client(make_server(front)) as client:
                return await client.call_tool(name, arguments)

        found = anyio.run(speak)
        return bool(found.is_error), json.loads(found.content[0].text)

    return one
