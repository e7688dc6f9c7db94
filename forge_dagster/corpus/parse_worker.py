"""The parser process: limited in memory, time and size, cut off from the network; reads requests, writes answers.

A message is a frame of two sizes, a JSON head and a body. Head of a request: {"format"}, body: the document. Head of
an answer: {"title"} with the clean text as body, or {"error"}. A hostile document can only end this process.
"""

import ctypes
import json
import resource
import struct
import sys
from typing import Any, BinaryIO

from forge_dagster.corpus.formats import PARSERS
from forge_dagster.corpus.text import normalise
from forge_dagster.errors import DataError

FRAME = struct.Struct("!IQ")  # bytes of head, bytes of body
MEMORY = 3 << 30  # bytes of address space
PROCESSOR_SECONDS = 60  # of one document; ends a loop that outlives its reader
LARGEST_TEXT = 64 << 20  # bytes of text one document may give
LONGEST_TITLE = 300  # characters
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # unshare(2)


def confine() -> None:
    """Limit memory, forbid core files and new files, and leave the network where the kernel allows it."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)


def limit_processor_time() -> None:
    """Grant PROCESSOR_SECONDS from now; beyond them the kernel ends the process with SIGXCPU."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime) + 1 + PROCESSOR_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def message(head: dict[str, Any], body: bytes = b"") -> bytes:
    """One message as bytes."""
    encoded = json.dumps(head).encode()
    return FRAME.pack(len(encoded), len(body)) + encoded + body


def answer(data: bytes, format_: str) -> bytes:
    """Parse one document; what a parser refuses is an answer too."""
    try:
        title, text = PARSERS[format_](data)
        encoded = normalise(text).encode("utf-8")
        clean_title = " ".join(normalise(title[: 2 * LONGEST_TITLE]).split())[:LONGEST_TITLE]
    except DataError as error:
        return message({"error": f"unparseable:{error.problem}"})
    except MemoryError:
        return message({"error": "out-of-memory"})
    except RecursionError:
        return message({"error": "nested-too-deep"})
    if len(encoded) > LARGEST_TEXT:
        return message({"error": "text-too-large"})
    return message({"title": clean_title}, encoded)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Say that the process is up, then answer until the requests end."""
    answers.write(message({"ready": True}))
    answers.flush()
    while frame := requests.read(FRAME.size):
        head_size, body_size = FRAME.unpack(frame)
        head = json.loads(requests.read(head_size))
        limit_processor_time()
        answers.write(answer(requests.read(body_size), head["format"]))
        answers.flush()


if __name__ == "__main__":
    confine()
    serve(sys.stdin.buffer, sys.stdout.buffer)
