"""The token and the address of the HTTP server."""

from pathlib import Path

import pytest

from forge_dagster.cli.tools.http import application, token_of
from forge_dagster.cli.tools.server import Front
from forge_dagster.errors import UserError

TOKEN = "t" * 40


def test_a_token_comes_from_a_private_file_or_a_variable(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    assert token_of(path, {}) == TOKEN
    assert token_of(None, {"FORGE_MCP_TOKEN": TOKEN}) == TOKEN
    path.chmod(0o644)
    with pytest.raises(UserError, match="owner alone"):
        token_of(path, {})


@pytest.mark.parametrize("bad", ["", "short", "t" * 20 + " " + "t" * 20, "t" * 40 + "\x00", "é" * 40])
def test_a_weak_token_is_refused(bad: str):
    with pytest.raises(UserError, match="characters"):
        token_of(None, {"FORGE_MCP_TOKEN": bad})


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "example.org", "::"])
def test_nothing_is_served_beyond_loopback(front: Front, host: str):
    with pytest.raises(UserError, match="loopback"):
        application(front, TOKEN, host)
    application(front, TOKEN, "127.0.0.1")
