"""The parser process: limited in memory, time and size, cut off from the network; reads requests, writes answers.

A message is a frame of two sizes, a JSON head and a body. The head of a request names its `task`, the body is the
document; the head of an answer has what was found, or `error`. A hostile document can only end this process.
"""

import ctypes
import json
import resource
import struct
import sys
from typing import Any, BinaryIO

from forge_dagster.corpus.boilerplate import line_keys
from forge_dagster.corpus.containers import decompressed, members
from forge_dagster.corpus.curate import curate
from forge_dagster.corpus.formats import format_of, formats, sniffed_wrong
from forge_dagster.corpus.language import load_model
from forge_dagster.corpus.text import normalise
from forge_dagster.errors import DataError
from forge_dagster.source import Cleaning

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


def parse(head: dict[str, Any], data: bytes) -> bytes:
    """Title, time, line keys and clean text of a document, from its bytes and its `path`."""
    data, path = decompressed(data, head["path"])
    format_ = format_of(path)
    assert format_ is not None
    if sniffed_wrong(data, format_):
        return message({"error": f"not-what-it-says:{format_}"})
    document = formats()[format_].parse(data)
    title = " ".join(normalise(document.title[: 2 * LONGEST_TITLE]).split())[:LONGEST_TITLE]
    text = normalise(document.text)
    body, keys = _bounded(text), line_keys(text)
    return message({"title": title, "time": document.time, **{k: v.hex() for k, v in keys._asdict().items()}}, body)


def expand(head: dict[str, Any], data: bytes) -> bytes:
    """Members of a container: a listing as JSON, then their bytes one after the other."""
    found = list(members(data, head["path"]))
    listing = json.dumps([[each.path, -1 if each.data is None else len(each.data), each.reason] for each in found])
    encoded = listing.encode()
    return message({"listing": len(encoded)}, b"".join([encoded, *(each.data or b"" for each in found)]))


def judge(head: dict[str, Any], text: bytes) -> bytes:
    """The decision on one parsed document, from its text, `title`, `format` and the source's `cleaning`."""
    cleaning = Cleaning.model_validate(head["cleaning"])
    curated = curate(head["title"], text.decode(), head["format"], cleaning)
    return message(curated.model_dump(mode="json", exclude={"text"}), _bounded(curated.text))


TASKS = {"parse": parse, "expand": expand, "curate": judge}


def _bounded(text: str) -> bytes:
    encoded = text.encode("utf-8")
    if len(encoded) > LARGEST_TEXT:
        raise DataError("more text than a document has", rule=f"at most {LARGEST_TEXT >> 20} MiB")
    return encoded


def answer(head: dict[str, Any], data: bytes) -> bytes:
    """Do the task that a request names; what it refuses is an answer too."""
    try:
        return TASKS[head["task"]](head, data)
    except DataError as error:
        return message({"error": f"unparseable:{error.problem}"})
    except MemoryError:
        return message({"error": "out-of-memory"})
    except RecursionError:
        return message({"error": "nested-too-deep"})
    except Exception as error:  # noqa: BLE001 - a library's own failure costs the document it failed on, and is counted
        return message({"error": f"parser-failed:{type(error).__name__}"})


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Say that the process is up, then answer until the requests end."""
    answers.write(message({"ready": True}))
    answers.flush()
    while frame := requests.read(FRAME.size):
        head_size, body_size = FRAME.unpack(frame)
        head = json.loads(requests.read(head_size))
        limit_processor_time()
        answers.write(answer(head, requests.read(body_size)))
        answers.flush()


if __name__ == "__main__":
    load_model()  # it is unpacked through a temporary file, and from here on there are none
    confine()
    serve(sys.stdin.buffer, sys.stdout.buffer)
