"""A pool of parser processes: one document each at a time, a clock on every one, a new process after a fault."""

import json
import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import local
from typing import Any

SECONDS = 60.0  # wall clock of one document
AHEAD = 4  # documents in flight a process, so that none waits for the reader


@dataclass(frozen=True)
class Text:
    """What came of one document: text and title, or the reason it has none."""

    title: str
    text: str
    error: str | None = None


class Worker:
    """One parser process and its pipes."""

    def __init__(self) -> None:
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "forge_dagster.corpus.parse_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def parse(self, data: bytes, format_: str, seconds: float) -> Text:
        """Parse in the worker; a crash or a timeout costs this document and a new process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"format": format_, "size": len(data)}).encode() + b"\n" + data)
            self.process.stdin.flush()
        except BrokenPipeError:
            return self._replace("parser-crashed")
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout=seconds):
                return self._replace("timeout")
        line = self.process.stdout.readline()
        if not line:
            return self._replace("parser-crashed")
        head: dict[str, Any] = json.loads(line)
        if "error" in head:
            return Text("", "", head["error"])
        return Text(head["title"], self.process.stdout.read(head["size"]).decode("utf-8"))

    def _replace(self, error: str) -> Text:
        self.close()
        self.process = self._start()
        return Text("", "", error)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:  # bytes that the dead process never read
                    continue


def parse_all(documents: Iterable[tuple[bytes, str]], *, processes: int, seconds: float = SECONDS) -> Iterator[Text]:
    """Parse (bytes, format) pairs on `processes` workers; results come in the order of the documents."""
    mine, workers = local(), []

    def one(data: bytes, format_: str) -> Text:
        if not hasattr(mine, "worker"):
            mine.worker = Worker()
            workers.append(mine.worker)
        return mine.worker.parse(data, format_, seconds)

    flying: deque[Future[Text]] = deque()
    with ThreadPoolExecutor(processes) as threads:
        try:
            for data, format_ in documents:
                flying.append(threads.submit(one, data, format_))
                if len(flying) >= processes * AHEAD:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            for future in flying:
                future.cancel()
            for worker in workers:
                worker.close()
