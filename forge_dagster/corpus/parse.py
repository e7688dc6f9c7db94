"""A pool of parser processes: one document each at a time, a clock on every one, a new process after a fault."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import TypeAdapter

from forge_dagster.corpus.containers import Member
from forge_dagster.corpus.entry import LARGEST
from forge_dagster.corpus.parse_worker import FRAME, message
from forge_dagster.errors import ForgeError
from forge_dagster.stage import FrozenModel

SECONDS = 120.0  # wall clock of one document; twice its processor time, for a busy machine
START_SECONDS = 120.0
PIECE = 1 << 16  # bytes a read or write, the size of a pipe
LARGEST_HEAD = 1 << 24  # bytes
LARGEST_BODY = LARGEST + LARGEST_HEAD  # bytes


Found = TypeVar("Found", bound=FrozenModel)


@dataclass(frozen=True)
class Answer:
    """What came of one task: the head with what was found and the body, or the reason there is none."""

    head: dict[str, Any]
    body: bytes = b""
    error: str | None = None

    def of(self, kind: type[Found]) -> Found | str:
        """Head and text as a typed value, or the reason there is none; a process may answer anything."""
        if self.error is not None:
            return self.error
        try:
            return kind.model_validate({**self.head, "text": self.body.decode()})
        except ValueError:
            return "parser-crashed:no answer"

    def members(self) -> list[Member]:
        """Members of an opened container. Raises ValueError if there is no answer, or a false one."""
        if self.error is not None:
            raise ValueError(self.error)
        at = self.head.get("listing")
        if not isinstance(at, int) or not 0 <= at <= len(self.body):
            raise ValueError("parser-crashed:no answer")
        listing = TypeAdapter(list[tuple[str, int, str]]).validate_json(self.body[:at])
        found = []
        for path, size, reason in listing:
            found.append(Member(path, self.body[at : at + size] if size >= 0 else None, reason))
            at += max(0, size)
        if at != len(self.body):
            raise ValueError("parser-crashed:no answer")
        return found


class Worker:
    """One parser process and its pipes; used by one thread at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, head: dict[str, Any], data: bytes) -> Answer:
        """Do a task in the process; a crash or a timeout costs this document and a new process.

        Raises ForgeError if no process starts at all.
        """
        process = self._process or self._start()
        deadline = time.monotonic() + self._seconds
        try:
            _write(process, message(head, data), deadline)
            found, body = _receive(process, deadline)
            error = found.get("error")
            return Answer({}, b"", error) if isinstance(error, str) else Answer(found, body)
        except TimeoutError:
            self.close()
            return Answer({}, b"", "timeout")
        except (BrokenPipeError, EOFError, ValueError):  # dead, or its answer is no answer
            return Answer({}, b"", f"parser-crashed:{self._post_mortem()}")

    def _start(self) -> "subprocess.Popen[bytes]":
        # A session of its own: Ctrl-C reaches the reader, which stops in order, and not the document in the making.
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "forge_dagster.corpus.parse_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        try:
            _receive(process, time.monotonic() + START_SECONDS)
        except (TimeoutError, EOFError, ValueError) as error:
            raise ForgeError(
                f"the parser process does not start ({self._post_mortem()})",
                rule="documents are parsed in a process of their own",
                mend="`python -m forge_dagster.corpus.parse_worker` says why; `make install` repairs the environment",
            ) from error
        return process

    def _post_mortem(self) -> str:
        """End the process, if it has not ended itself, and say how it ended."""
        process = self._process
        if process is None:
            return "closed"
        try:
            code = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        self.close()
        return signal.Signals(-code).name if code < 0 else f"exit {code}"

    def kill(self) -> None:
        """Let a parse that another thread waits for fail at once."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def _write(process: "subprocess.Popen[bytes]", data: bytes, deadline: float) -> None:
    assert process.stdin is not None
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(process.stdin.fileno(), left) :]
        except BlockingIOError:
            _wait(process.stdin.fileno(), select.POLLOUT, deadline)


def _receive(process: "subprocess.Popen[bytes]", deadline: float) -> tuple[dict[str, Any], bytes]:
    data = bytearray()
    _read(process, data, FRAME.size, deadline)
    head_size, body_size = FRAME.unpack_from(data)
    if head_size > LARGEST_HEAD or body_size > LARGEST_BODY:
        raise ValueError(f"answer of {head_size} and {body_size} bytes")
    body_at = FRAME.size + head_size
    _read(process, data, body_at + body_size, deadline)
    if len(data) != body_at + body_size:
        raise ValueError("more than one answer")
    head = json.loads(data[FRAME.size : body_at])
    if not isinstance(head, dict):
        raise ValueError(f"answer is {type(head).__name__}")
    return head, bytes(data[body_at:])


def _read(process: "subprocess.Popen[bytes]", data: bytearray, least: int, deadline: float) -> None:
    """Read until `data` has so many bytes; more of them come along if they are there."""
    assert process.stdout is not None
    while len(data) < least:
        _wait(process.stdout.fileno(), select.POLLIN, deadline)
        piece = os.read(process.stdout.fileno(), PIECE)
        if not piece:
            raise EOFError
        data += piece


def _wait(descriptor: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError


class Parsers:
    """A pool of parser processes that start when needed and end with the `with` block."""

    def __init__(self, processes: int, *, seconds: float = SECONDS) -> None:
        self.processes = processes
        self._workers = [Worker(seconds) for _ in range(processes)]
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="parser")

    def submit(self, head: dict[str, Any], data: bytes) -> Future[Answer]:
        """Do a task soon; the future raises ForgeError alone."""
        return self._threads.submit(self._ask, head, data)

    def _ask(self, head: dict[str, Any], data: bytes) -> Answer:
        worker = self._idle.get()
        try:
            return worker.ask(head, data)
        finally:
            self._idle.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        if kind is not None:
            for worker in self._workers:
                worker.kill()
        self._threads.shutdown(wait=True)
        for worker in self._workers:
            worker.close()
