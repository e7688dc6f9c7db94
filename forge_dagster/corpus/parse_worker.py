"""The parser process: limited in memory and size, cut off from the network; reads requests, writes answers.

A request is a JSON line {"format", "size"} and that many bytes; an answer a JSON line {"title", "size"} or
{"error"} and the text in UTF-8. A hostile document can only end this process.
"""

import ctypes
import json
import resource
import sys
from typing import BinaryIO

from forge_dagster.corpus.formats import PARSERS
from forge_dagster.errors import DataError

MEMORY = 3 << 30  # bytes of address space
LARGEST_TEXT = 64 << 20  # bytes of text one document may give
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # unshare(2)


def confine() -> None:
    """Limit memory, forbid core files and new files, and leave the network where the kernel allows it."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)


def answer(data: bytes, format_: str) -> tuple[dict[str, object], bytes]:
    """Parse one document; what a parser refuses is an answer too."""
    try:
        title, text = PARSERS[format_](data)
    except DataError as error:
        return {"error": f"unparseable:{error.problem}"}, b""
    except MemoryError:
        return {"error": "out-of-memory"}, b""
    except RecursionError:
        return {"error": "nested-too-deep"}, b""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) > LARGEST_TEXT:
        return {"error": "text-too-large"}, b""
    return {"title": title, "size": len(encoded)}, encoded


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the requests end."""
    while line := requests.readline():
        request = json.loads(line)
        head, body = answer(requests.read(request["size"]), request["format"])
        answers.write(json.dumps(head).encode() + b"\n" + body)
        answers.flush()


if __name__ == "__main__":
    confine()
    serve(sys.stdin.buffer, sys.stdout.buffer)
