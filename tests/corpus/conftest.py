"""A small folder of documents of every format, and the hops run over it."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.corpus import clean, snapshot, split
from forge_dagster.corpus.signature import sign
from forge_dagster.source import Cleaning, Labels

LABELS = Labels(
    owner="o",
    licence="internal",
    sensitivity="internal",
    legal_basis="none",
    jurisdiction="SE",
    permitted_use=("training",),
    audience=("everyone",),
    retention=None,
)
CLEAN = clean.CleanConfig(cleaning=Cleaning(), labels=LABELS, rank=0)
SPLIT = split.SplitConfig(seed=1, near_duplicate_jaccard=0.7, validation_share=0.2, test_share=0.2)
NOUNS = ("pump", "valve", "boiler", "gasket", "office", "ledger", "harbour", "engine", "turbine", "archive", "lamp")
VERBS = ("cleans", "moves", "paints", "inspects", "weighs", "repairs", "measures", "opens", "counts", "replaces")


def prose(seed: int, sentences: int = 12) -> str:
    """English-like text that no other seed gives."""
    draw = random.Random(seed)
    lines = (
        f"The {draw.choice(NOUNS)} of hall {draw.randrange(900)} {draw.choice(VERBS)} the {draw.choice(NOUNS)} "
        f"number {draw.randrange(9000)}."
        for _ in range(sentences)
    )
    return " ".join(lines)


def _clean_folder(folder: Path, source: str, texts: dict[str, str]) -> Path:
    folder.mkdir()
    made = [
        {
            "id": hashlib.sha256(text.encode()).hexdigest(),
            "source": source,
            "path": path,
            "title": "",
            "format": "txt",
            "text": text,
            "digest": hashlib.sha256(text.encode()).hexdigest(),
            "characters": len(text),
            "rank": 0,
            **sign(text)._asdict(),
        }
        for path, text in texts.items()
    ]
    pq.write_table(pa.Table.from_pylist(made, clean.DOCUMENTS), folder / "documents.parquet")
    pq.write_table(pa.Table.from_pylist(made, clean.SIGNATURES), folder / "signatures.parquet")
    return folder


@pytest.fixture
def clean_folder() -> Callable[[Path, str, dict[str, str]], Path]:
    """Write texts as the clean documents of a source, and their signatures."""
    return _clean_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 text documents, 2 exact and 2 near duplicates, HTML, and what is no document."""
    at = tmp_path / "documents"
    (at / "sub").mkdir(parents=True)
    for number in range(30):
        (at / f"note-{number:02}.txt").write_text(f"Note {number}\n\n{prose(number)}\n")
    for number in (3, 4):
        (at / "sub" / f"copy-{number}.txt").write_bytes((at / f"note-{number:02}.txt").read_bytes())
        (at / "sub" / f"near-{number}.md").write_text((at / f"note-{number:02}.txt").read_text() + "One more line.\n")
    (at / "page.html").write_text(f"<html><body><nav>menu</nav><h1>Page</h1><p>{prose(99)}</p></body></html>")
    (at / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    (at / "short.txt").write_text("too short\n")
    (at / "blank.txt").write_text(" \n\n")
    (at / "really-a.txt").write_bytes(b"PK\x03\x04" + bytes(64))
    (at / "link.txt").symlink_to("note-00.txt")
    return at


def snapshot_of(folder: Path) -> snapshot.SnapshotConfig:
    """Configuration that reads a folder."""
    return snapshot.SnapshotConfig(source="notes", kind="folder", settings={}, location=str(folder))


@pytest.fixture
def raw(hop: Callable[..., Path], folder: Path) -> Path:
    """The snapshot of `folder`."""
    return hop("raw", snapshot.STAGE, {}, snapshot_of(folder))


@pytest.fixture
def cleaned(hop: Callable[..., Path], raw: Path) -> Path:
    """The clean documents of `folder`."""
    return hop("clean", clean.STAGE, {"raw_documents": raw}, CLEAN)


@pytest.fixture
def divided(hop: Callable[..., Path], cleaned: Path) -> Path:
    """The split of `folder`."""
    return hop("split", split.STAGE, {"clean_documents/notes": cleaned}, SPLIT)


def rows(path: Path) -> list[dict[str, Any]]:
    """All rows of a Parquet file."""
    return pq.read_table(path).to_pylist()


@pytest.fixture(name="rows")
def rows_fixture() -> Callable[[Path], list[dict[str, Any]]]:
    """All rows of a Parquet file."""
    return rows


@pytest.fixture(name="prose")
def prose_fixture() -> Callable[..., str]:
    """English-like text by seed."""
    return prose


@pytest.fixture(name="clean_config")
def clean_config_fixture() -> clean.CleanConfig:
    """Cleaning at its defaults."""
    return CLEAN


@pytest.fixture(name="snapshot_of")
def snapshot_of_fixture() -> Callable[[Path], snapshot.SnapshotConfig]:
    """Configuration that reads a folder."""
    return snapshot_of
