"""Generated documents from folder to corpus: seconds and peak memory by number, and what a change of 1 % costs.

`python -m benchmarks scale [DOCUMENTS ...]`; the folders are kept in FORGE_BENCH, else in a temporary one.
"""

import os
import random
import shutil
import tempfile
from pathlib import Path

from benchmarks._curation import Hop, curated
from forge_dagster.sample.generate import generate

SIZES = ("1000", "5000")
CHANGED = 100  # one document in so many
SEED = 1


def main(*sizes: str) -> None:
    """Print a table of each size's hops, full and after one document in CHANGED was edited."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(os.environ.get("FORGE_BENCH") or scratch)
        for size in map(int, sizes or SIZES):
            _measure(size, root)


def _measure(documents: int, root: Path) -> None:
    sample, home = root / f"sample-{documents}", root / f"home-{documents}"
    if not (sample / "facts.jsonl").exists():
        generate(documents, SEED, sample)
    shutil.rmtree(home, ignore_errors=True)
    folder = sample / "documents"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    full = curated(folder, home)
    change(folder, documents)
    partly = curated(folder, home)
    show(f"{documents:,} documents, {size / 1e6:,.0f} MB", full, partly)


def change(folder: Path, documents: int) -> None:
    """Add a sentence to one document in CHANGED, drawn at random among those that are text."""
    texts = sorted(path for path in folder.rglob("*") if path.suffix in (".md", ".txt", ".html"))
    draw = random.Random(SEED)
    for path in draw.sample(texts, max(1, documents // CHANGED)):
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\nThe note numbered {draw.randrange(10**9)} was added here by the archive in spring.\n")


def show(title: str, full: list[Hop], partly: list[Hop]) -> None:
    """Print both runs, hop by hop."""
    print(f"\n{title}")
    print(
        f"{'':<18}{'full s':>9}{'cpu s':>9}{'MiB':>8}{'mapped too':>12}"
        f"{'1 % changed s':>15}{'cpu s':>8}{'MiB':>8}{'share':>9}{'of cpu':>9}"
    )
    for first, second in zip(full, partly, strict=True):
        print(_line(first.name, first, second), flush=True)
    print(_line("all", _total(full), _total(partly)))


def _total(hops: list[Hop]) -> Hop:
    return Hop(
        "all",
        sum(hop.seconds for hop in hops),
        sum(hop.processor for hop in hops),
        max(hop.anonymous for hop in hops),
        max(hop.resident for hop in hops),
        "",
    )


def _line(name: str, full: Hop, partly: Hop) -> str:
    return (
        f"{name:<18}{full.seconds:>9.1f}{full.processor:>9.1f}{full.anonymous:>8,.0f}{full.resident:>12,.0f}"
        f"{partly.seconds:>15.1f}{partly.processor:>8.1f}{partly.anonymous:>8,.0f}"
        f"{partly.seconds / full.seconds:>9.1%}{partly.processor / full.processor:>9.1%}"
    )
