"""A readiness report over a small folder with dirt of every kind and hostile names; made once."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from forge_dagster.corpus import clean, corpus, snapshot, split
from forge_dagster.corpus.readiness import assess
from forge_dagster.source import Cleaning, Labels
from forge_dagster.stage import LocalContext, NoConfig, local_context

HOSTILE = "<script>document.title='ran'</script>"
LABELS = Labels(
    owner="o",
    licence="unknown",
    sensitivity="confidential",
    legal_basis="unknown",
    jurisdiction="SE",
    permitted_use=("training",),
    audience=("everyone",),
    retention=None,
)
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


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the report of dirty documents, the hops it read, and what lies beside it."""
    root = tmp_path_factory.mktemp("readiness")
    write(root / "documents")
    context = local_context(root)
    config = snapshot.SnapshotConfig(source="dirty", kind="folder", settings={}, location=str(root / "documents"))
    cleaning = clean.CleanConfig(cleaning=Cleaning(), labels=LABELS, rank=0)
    splitting = split.SplitConfig(seed=1, near_duplicate_jaccard=0.7, validation_share=0.1, test_share=0.1)
    for name in ("raw", "clean", "split", "corpus", "benchmark", "readiness"):
        (root / name).mkdir()
    (root / "benchmark" / "benchmark.json").write_text(json.dumps({"version": 1, "tasks": []}))
    snapshot.run({}, config, root / "raw", context)
    clean.run({"raw_documents": root / "raw"}, cleaning, root / "clean", context)
    cleaned = {"clean_documents/dirty": root / "clean"}
    split.run(cleaned, splitting, root / "split", context)
    joined = {**cleaned, "document_split": root / "split", "domain_benchmark": root / "benchmark"}
    corpus.run(joined, NoConfig(), root / "corpus", context)
    assess.run(hops_of(root), NoConfig(), root / "readiness", context)
    return root


def hops_of(root: Path) -> dict[str, Path]:
    """What the report reads."""
    hops = {
        "raw_documents/dirty": "raw",
        "clean_documents/dirty": "clean",
        "document_split": "split",
        "corpus": "corpus",
    }
    return {key: root / name for key, name in hops.items()}


def write(at: Path) -> None:
    """Notes, dated pages, copies, an older version, personal data, a secret, and what is no text."""
    (at / "a").mkdir(parents=True)
    for number in range(40):
        (at / f"note-{number:02}.txt").write_text(f"Note {number}\n\n{prose(number)}\n")
    for year in (2018, 2024, 2025):
        head = f"<title>Page of {year}</title><meta name=date content={year}-05-01>"
        (at / f"page-{year}.html").write_text(f"<html><head>{head}</head><body><p>{prose(year)}</p></body></html>")
    for number in (3, 4):
        (at / "a" / f"copy-{number}.txt").write_bytes((at / f"note-{number:02}.txt").read_bytes())
    (at / "guide-v1.txt").write_text(f"Guide\n\n{prose(77)} {prose(78)}\n")
    (at / "guide-v2.txt").write_text(f"Guide\n\n{prose(77)} {prose(79)}\n")
    mails = " ".join(f"Write to person{n}@example.org." for n in range(9))
    name = HOSTILE.replace("/", "\u2215")
    head = f"<head><title>{HOSTILE.replace('<', '&lt;')}</title></head>"
    (at / f"{name}.html").write_text(f"<html>{head}<body><p>{mails} {prose(80, 3)}</p></body></html>")
    (at / "keys.txt").write_text(f"{prose(81)} The key is AKIAIOSFODNN7EXAMPLQ for now.\n")
    (at / f"picture.{name[:9]}").write_bytes(bytes(64))
    (at / "letter.doc").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(9000))
    (at / "short.txt").write_text("too short\n")
    (at / "broken.pdf").write_bytes(b"%PDF-1.4 nothing follows")
    (at / "link.txt").symlink_to("note-00.txt")


@pytest.fixture
def hops(made: Path) -> dict[str, Path]:
    """What the report read."""
    return hops_of(made)


@pytest.fixture
def report(made: Path, tmp_path: Path) -> Path:
    """A copy of the report's folder that may be spoilt."""
    return Path(shutil.copytree(made / "readiness", tmp_path / "readiness"))


@pytest.fixture
def data(report: Path) -> Any:
    """readiness.json."""
    return json.loads((report / "readiness.json").read_bytes())


@pytest.fixture
def context(tmp_path: Path) -> LocalContext:
    """A context of its own."""
    return local_context(tmp_path / "context")
