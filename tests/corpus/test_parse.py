"""The parser processes: what a hostile document costs is that document."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from forge_dagster.corpus import parse
from forge_dagster.corpus.clean import Parsed
from forge_dagster.corpus.parse import Answer, Parsers, Worker
from forge_dagster.errors import ForgeError

GOOD = ({"task": "parse", "path": "a.md"}, b"# Title\n\nSome text.\n")


def parsing(data: bytes, path: str) -> tuple[dict[str, str], bytes]:
    return {"task": "parse", "path": path}, data


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(seconds=60)
    yield made
    made.close()


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Replace the process by Python code that plays the worker."""
    prelude = (
        "import sys, json; from forge_dagster.corpus.parse_worker import FRAME, message\n"
        "out, requests = sys.stdout.buffer, sys.stdin.buffer\n"
        "def say(data): out.write(data); out.flush()\n"
        "say(message({'ready': True}))\n"
        "def hear():\n"
        "    head, body = FRAME.unpack(requests.read(FRAME.size)); requests.read(head + body)\n"
    )
    popen = parse.subprocess.Popen

    def play(code: str) -> None:
        def start(command: list[str], **settings: object) -> object:
            return popen([command[0], "-c", prelude + code], **settings)  # type: ignore[call-overload]

        monkeypatch.setattr(parse.subprocess, "Popen", start)

    return play


def test_documents_are_parsed_and_normalised(worker: Worker):
    def parsed(answer: Answer) -> tuple[str, str]:
        found = answer.of(Parsed)
        assert isinstance(found, Parsed)
        return found.title, found.text

    assert parsed(worker.ask(*GOOD)) == ("Title", "# Title\n\nSome text.\n")
    assert parsed(worker.ask(*parsing(b"A\xcc\x81\r\n\r\n\r\nb\xe2\x80\x8b", "a.txt"))) == ("Á", "Á\n\nb\n")
    large = "word " * 500_000
    assert len(worker.ask(*parsing(large.encode(), "a.txt")).body) == len(large)


def test_what_a_parser_refuses_keeps_the_process(worker: Worker):
    worker.ask(*GOOD)
    process = worker._process
    assert worker.ask(*parsing(bytes(100), "a.txt")).error == "unparseable:control characters throughout"
    assert str(worker.ask(*parsing(b"%PDF-1.4", "a.pdf")).error).startswith("unparseable:not a readable PDF")
    assert (
        worker.ask(*parsing(b"<p>" + b"<i>" * 2000 + b"x", "a.html")).error
        == "unparseable:elements nested deeper than 300"
    )
    assert worker.ask(*GOOD).error is None
    assert worker._process is process


def test_a_process_that_dies_costs_one_document(worker: Worker):
    worker.ask(*GOOD)
    assert worker._process is not None
    os.kill(worker._process.pid, signal.SIGSEGV)
    assert worker.ask(*GOOD).error == "parser-crashed:SIGSEGV"
    assert worker.ask(*GOOD).error is None


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("hear(); sys.exit(3)", "parser-crashed:exit 3"),
        ("hear(); say(b'nonsense that is no frame at all')", "parser-crashed:exit 0"),
        ("hear(); say(FRAME.pack(10, 1 << 60))", "parser-crashed:exit 0"),
        ("hear(); say(message([1, 2]))", "parser-crashed:exit 0"),
        ("hear(); say(message({}))", "parser-crashed:no answer"),
        ("hear(); say(message({'title': 'x'}, b'\\xff'))", "parser-crashed:no answer"),
        ("hear(); say(message({'title': 'x'}, b'cut')[:-1])", "parser-crashed:exit 0"),
    ],
)
def test_an_answer_that_is_none_is_a_crash(hostile: Callable, worker: Worker, code: str, error: str):
    hostile(code)
    assert worker.ask(*GOOD).of(Parsed) == error


@pytest.mark.parametrize("code", ["hear(); import time; time.sleep(60)", "import time; time.sleep(60)"])
def test_a_process_that_hangs_is_ended_by_the_clock(hostile: Callable, code: str):
    """Also one that does not even read its request."""
    hostile(code)
    worker = Worker(seconds=0.3)
    start = time.monotonic()
    assert worker.ask(*parsing(b"x" * 1_000_000, "a.txt")).error == "timeout"
    assert time.monotonic() - start < 20
    assert worker._process is None


def test_a_process_that_never_starts_is_an_error_and_no_quarantine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parse.sys, "executable", "/bin/false")
    with (
        Parsers(1) as parsers,
        pytest.raises(ForgeError, match=r"does not start \(exit 1\)\nRule: .*\nMend: `python -m"),
    ):
        parsers.submit(*GOOD).result()


def test_limits_hold_inside_the_process(worker: Worker):
    worker.ask(*GOOD)
    assert worker._process is not None
    with open(f"/proc/{worker._process.pid}/limits") as file:
        limits = {line[:25].strip(): line[25:].split() for line in file}
    assert limits["Max address space"][0] == str(3 << 30)
    assert limits["Max file size"][0] == limits["Max core file size"][0] == "0"
    assert 60 <= int(limits["Max cpu time"][0]) < 90


def test_the_process_is_cut_off_from_the_network(worker: Worker):
    worker.ask(*GOOD)
    assert worker._process is not None
    if os.readlink(f"/proc/{worker._process.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        pytest.skip("this kernel lets no process leave the network")
    with open(f"/proc/{worker._process.pid}/net/dev") as file:
        assert [line.split(":")[0].strip() for line in file.readlines()[2:]] == ["lo"]


def test_a_pool_parses_in_parallel_and_leaves_no_process():
    with Parsers(2) as parsers:
        futures = [parsers.submit(*parsing(f"text {number}".encode(), "a.txt")) for number in range(40)]
        texts = [future.result().body.decode() for future in futures]
        pids = [worker._process.pid for worker in parsers._workers if worker._process]
    assert texts == [f"text {number}\n" for number in range(40)]
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_leaving_a_pool_by_an_error_does_not_wait_for_the_document(hostile: Callable):
    hostile("hear(); import time; time.sleep(300)")
    start = time.monotonic()
    with pytest.raises(KeyError), Parsers(1) as parsers:  # noqa: PT012
        parsers.submit(*GOOD)
        while parsers._workers[0]._process is None:
            time.sleep(0.01)
        raise KeyError
    assert time.monotonic() - start < 20
