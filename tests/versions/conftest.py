"""A home with a few small versions, and remotes for them: a folder, and a server that speaks as it is told."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from versions_case import Answering, add_remote

from forge_dagster.home import Home
from forge_dagster.provenance.build import Built
from forge_dagster.provenance.run import Run
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.versions.pointer import Version


@pytest.fixture
def versions(home: Home, toy: Callable[[str, str], str], make: Callable[..., Built]) -> dict[str, Version]:
    """`words` in two versions, and from the first of them `prose` and `team/release`; the second is current."""
    first, found = Run(home, "first"), {}
    for key, inputs in (("words", {}), ("prose", {"words": "words"}), ("team/release", {"prose": "prose"})):
        module = toy(f"module_{key.replace('/', '_')}", key)
        found[key] = (key, make(first, key, module, **inputs).record.digest)
    second = make(Run(home, "second"), "words", toy("module_words_second", "others"))
    return {**found, "newer": ("words", second.record.digest)}


@pytest.fixture
def store(home: Home) -> ArtifactStore:
    return ArtifactStore(home.artifacts)


@pytest.fixture
def remote(home: Home, tmp_path: Path) -> Path:
    """A folder as the default remote."""
    add_remote(home, "backup", str(tmp_path / "remote"))
    return tmp_path / "remote"


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """Start an S3 server that gives every request this answer, or none; return its URL and what it was asked."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    servers: list[ThreadingHTTPServer] = []

    def start(status: int | None) -> tuple[str, list[str]]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                asked.append(f"{self.command} {self.path}")
                if status is None:
                    time.sleep(30)
                    return
                code = "AccessDenied" if status == 403 else "InternalError"
                body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_HEAD = answer

            def log_message(self, *arguments: Any) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        servers[-1].daemon_threads = True
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
