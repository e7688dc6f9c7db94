"""`forge serve` as a process of its own over a home."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai

from benchmarks._answering_release import answering_release
from forge_dagster.home import Home


def answering_home(root: Path) -> Home:
    """A home whose release answers by heart."""
    made = Home(root / "home")
    answering_release(made)
    return made


class ServeProcess:
    """The command, once it listens."""

    def __init__(self, home: Home, *options: str, **environment: str) -> None:
        self.process = start(home, *options, **environment)
        assert self.process.stdout is not None
        lines = []
        while not lines or lines[-1] != "}\n":
            lines.append(self.process.stdout.readline())
            assert lines[-1], f"the server ended: {self.process.communicate()[1]}"
        self.told: dict[str, Any] = json.loads("".join(lines))
        self.url: str = self.told["url"]

    def client(self) -> openai.OpenAI:
        """OpenAI's client of it, which asks once."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=120)

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        return self.process.returncode


def start(home: Home, *options: str, **environment: str) -> "subprocess.Popen[str]":
    """Start `forge serve` on a free port."""
    command = [sys.executable, "-m", "forge_dagster.cli.main", "serve", "small", "--port", "0", "--json", *options]
    settings = {**os.environ, "FORGE_HOME": str(home.root), "FORGE_THREADS": "1", **environment}
    settings.pop("DAGSTER_HOME", None)
    return subprocess.Popen(command, env=settings, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
