"""Quality filters and near-duplicate removal against datatrove's two Gopher filters and four MinHash stages.

`python -m benchmarks filters [DOCUMENTS [FOLDER [PYTHON]]]`: generated documents, the texts of a folder beside them, an
interpreter that has datatrove; without one it is installed into a temporary environment.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks._table import show
from forge_dagster.corpus.duplicates import alike_from, clusters
from forge_dagster.corpus.formats import format_of, formats
from forge_dagster.corpus.quality import broken_rule, measure
from forge_dagster.corpus.signature import BANDS, Shingles, sign
from forge_dagster.corpus.text import normalise
from forge_dagster.errors import DataError
from forge_dagster.sample.generate import generate

PEER = ("datatrove==0.10.1", "spacy", "nltk", "tldextract", "fasteners", "orjson", "regex", "xxhash<4", "tokenizers")
PROCESSES = len(os.sched_getaffinity(0))
CHUNK = 8  # documents a process takes at once; the long ones lie side by side
TEXTS = ("plain", "markdown", "html", "man", "rst")
LARGEST = 1 << 20  # bytes of a document taken from the folder
THRESHOLD = 0.8
Decided = dict[str, set[str]]


def main(documents: str = "2000", folder: str = "", python: str = "") -> None:
    """Print seconds and ratio of both steps, and what both decided."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        interpreter = python or _installed(root / "venv")
        texts = dict(_texts(root, int(documents), folder))
        corpus = root / "corpus"
        corpus.mkdir()
        lines = [json.dumps({"id": name, "text": text}) for name, text in texts.items()]
        for number in range(PROCESSES):  # a file a process, which is how datatrove divides its work
            (corpus / f"{number}.jsonl").write_text("\n".join(lines[number::PROCESSES]) + "\n")
        decided: dict[str, tuple[set[str], set[str]]] = {}
        rows: list[tuple[str, float, float, list[float]]] = []
        for step, ours in (("filters", _filtered), ("duplicates", _deduplicated)):
            mine, seconds = _timed(partial(ours, corpus))
            theirs, peer = _timed(partial(_peer, interpreter, step, corpus, root / step))
            decided[step] = mine, theirs
            rows.append((step, seconds, peer, [seconds / peer]))
        mine_total, peer_total = sum(row[1] for row in rows), sum(row[2] for row in rows)
        rows.append(("both", mine_total, peer_total, [mine_total / peer_total]))
    size = sum(map(len, texts.values())) / 1e6
    show(f"{len(texts):,} documents, {size:.1f} MB, {PROCESSES} processes", rows, peer="datatrove")
    print(
        f"throughput: {size / mine_total:.2f} against {size / peer_total:.2f} MB/s, {peer_total / mine_total:.1f} times"
    )
    for step, (mine, theirs) in decided.items():
        print(
            f"{step}: both keep {len(mine & theirs):,}, both drop {len(texts.keys() - mine - theirs):,}, "
            f"ours alone drops {len(theirs - mine):,}, datatrove alone drops {len(mine - theirs):,}"
        )


def _timed(job: Callable[[], set[str]]) -> tuple[set[str], float]:
    begun = time.perf_counter()
    found = job()
    return found, time.perf_counter() - begun


def _texts(root: Path, documents: int, folder: str) -> Iterator[tuple[str, str]]:
    """Name and text of every document of the corpus."""
    generate(documents, 1, root / "sample")
    for place in [root / "sample" / "documents", *([Path(folder)] if folder else [])]:
        for path in sorted(place.rglob("*")):
            kind = format_of(path.name)
            if kind in TEXTS and path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST:
                try:
                    text = normalise(formats()[kind].parse(path.read_bytes()).text)
                except DataError:
                    continue  # neither of the two has it to judge
                if text:
                    yield str(path), text


def _read(corpus: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(corpus.iterdir()):
        with path.open() as file:
            for line in file:
                row = json.loads(line)
                yield row["id"], row["text"]


def _kept(text: str) -> bool:
    return broken_rule(measure(text)) is None


def _filtered(corpus: Path) -> set[str]:
    names, texts = zip(*_read(corpus), strict=True)
    with get_context("fork").Pool(PROCESSES) as pool:
        kept = pool.map(_kept, texts, chunksize=CHUNK)
    return {name for name, is_kept in zip(names, kept, strict=True) if is_kept}


def _deduplicated(corpus: Path) -> set[str]:
    names, texts = zip(*_read(corpus), strict=True)
    with get_context("fork").Pool(PROCESSES) as pool:
        signed = pool.map(sign, texts, chunksize=CHUNK)
    bands = np.frombuffer(b"".join(each.bands for each in signed), dtype="<u8").reshape(-1, BANDS)
    sizes = [len(each.shingles) // 4 for each in signed]
    flat = Shingles(np.frombuffer(b"".join(each.shingles for each in signed), dtype="<u4"), np.cumsum([0, *sizes]))
    labels = clusters(np.array([hash(text) for text in texts]).astype("S64"), bands, alike_from(flat, THRESHOLD))
    return {names[first] for first in np.unique(labels, return_index=True)[1]}


def _peer(python: str, step: str, corpus: Path, out: Path) -> set[str]:
    script = Path(__file__).with_name("_datatrove.py")
    command = [python, "-P", str(script), step, str(corpus), str(out), str(PROCESSES)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {name for name, _ in _read(out / "kept")}


def _installed(folder: Path) -> str:
    """An interpreter of its own that has datatrove."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PEER], check=True, stdout=sys.stderr)
    return python
