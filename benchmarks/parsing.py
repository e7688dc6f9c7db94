"""Extraction of a folder in confined processes against the same parsers, and the bare libraries, called in a loop.

`python -m benchmarks parsing [FOLDER [ROUNDS]]`; without a folder, generated documents.
"""

import os
import tempfile
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

from benchmarks._table import paired, show
from forge_dagster.corpus.containers import decompressed
from forge_dagster.corpus.formats import format_of, formats
from forge_dagster.corpus.parse import Parsers
from forge_dagster.corpus.text import decode
from forge_dagster.errors import DataError
from forge_dagster.sample.generate import generate

PROCESSES = len(os.sched_getaffinity(0))
DOCUMENTS = 2000


def main(folder: str = "", rounds: str = "3") -> None:
    """Print seconds and ratio for each format and for all."""
    with tempfile.TemporaryDirectory() as scratch:
        if not folder:
            generate(DOCUMENTS, 1, Path(scratch) / "sample")
        paths = [
            path for path in sorted(Path(folder or scratch).rglob("*")) if path.is_file() and not path.is_symlink()
        ]
        readable = [path for path in paths if format_of(path.name)]
        groups = {"all": readable}
        for path in readable:
            groups.setdefault(str(format_of(path.name)), []).append(path)
        with Parsers(PROCESSES) as parsers, get_context("spawn").Pool(PROCESSES, os.setsid) as pool:
            for job in (_parsed, _bare):  # each process has loaded what it needs before the clock runs
                _loop(pool, job, readable[: 16 * PROCESSES])
            _confined(parsers, readable[: 16 * PROCESSES])
            for title, job in (("our parsers", _parsed), ("bare libraries", _bare)):
                rows = [
                    (f"{name} ({len(group):,})", *_compared(parsers, pool, job, group, int(rounds)))
                    for name, group in sorted(groups.items())
                ]
                show(f"Extraction of {len(readable):,} documents, {PROCESSES} processes", rows, peer=title)


def _compared(
    parsers: Parsers, pool: Pool, job: Callable[[Path], int], group: list[Path], rounds: int
) -> tuple[float, float, list[float]]:
    return paired(lambda: _confined(parsers, group), lambda: _loop(pool, job, group), rounds)


def _confined(parsers: Parsers, paths: list[Path]) -> None:
    """As the pipeline does it: text repaired, line keys taken, faults contained; a session a process, as below."""
    for future in [parsers.submit({"task": "parse", "path": path.name}, path.read_bytes()) for path in paths]:
        future.result()


def _loop(pool: Pool, job: Callable[[Path], int], paths: list[Path]) -> None:
    for _ in pool.imap_unordered(job, paths):
        pass


def _parsed(path: Path) -> int:
    """Characters that the format's parser finds, called as a function."""
    try:
        data, name = decompressed(path.read_bytes(), path.name)
        return len(formats()[str(format_of(name))].parse(data).text)
    except DataError:
        return 0


def _bare(path: Path) -> int:
    """Characters that the library under the parser finds, with nothing done to them."""
    kind = format_of(path.name)
    if kind == "html":
        from selectolax.lexbor import LexborHTMLParser

        return len(LexborHTMLParser(decode(path.read_bytes())).text())
    if kind == "pdf":
        import pypdfium2

        document = pypdfium2.PdfDocument(path.read_bytes())
        return sum(len(page.get_textpage().get_text_bounded()) for page in document)
    return _parsed(path)
