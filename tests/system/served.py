"""`forge serve` as a process of its own over a home."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

from forge_dagster.home import Home


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
