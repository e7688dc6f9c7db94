"""Every raw document comes out clean, dropped or quarantined."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.corpus import clean, parse, snapshot
from forge_dagster.corpus.rows import RowWriter
from forge_dagster.errors import InterruptedRun
from forge_dagster.source import Cleaning, Labels
from forge_dagster.stage import LocalContext

CONFIG = clean.CleanConfig(
    cleaning=Cleaning(),
    labels=Labels(
        owner="o",
        licence="internal",
        sensitivity="internal",
        legal_basis="none",
        jurisdiction="SE",
        permitted_use=("training",),
        audience=("everyone",),
        retention=None,
    ),
    rank=0,
)


def raw_folder(folder: Path, documents: dict[str, bytes]) -> Path:
    folder.mkdir()
    with RowWriter(folder / "documents.parquet", snapshot.DOCUMENTS) as writer:
        for number, (path, data) in enumerate(documents.items()):
            writer.add({"id": f"{number:064}", "source": "notes", "path": path, "size": len(data), "bytes": data})
    return folder


def test_dispositions_reconcile_with_the_raw_documents(raw: Path, cleaned: Path, rows: Callable):
    dispositions = rows(cleaned / "dispositions.parquet")
    assert [row["path"] for row in dispositions] == [row["path"] for row in rows(raw / "documents.parquet")]
    assert {row["path"]: row["reason"] for row in dispositions if row["disposition"] != "kept"} == {
        "blank.txt": "empty-text",
        "picture.png": "unsupported-format:png",
        "really-a.txt": "not-what-it-says:plain",
        "short.txt": "too-short",
    }
    kept = [row["path"] for row in dispositions if row["disposition"] == "kept"]
    documents = rows(cleaned / "documents.parquet")
    assert [row["path"] for row in documents] == kept
    assert Counter(row["format"] for row in documents) == {"plain": 34, "html": 1}
    page = next(row for row in documents if row["path"] == "page.html")
    assert page["text"].startswith("# Page\n\nThe ")
    assert all(finding.passed for finding in clean.STAGE.check(cleaned))


def test_a_hostile_document_quarantines_itself_alone(
    tmp_path: Path, context: LocalContext, rows: Callable, monkeypatch: pytest.MonkeyPatch
):
    """The clock or the depth limit ends one document, whichever comes first on this machine; all others come out."""
    good = b"The pump of hall seven moves clean water to the boiler, which heats it for the office and the store."
    documents = {f"good-{number:02}.txt": good for number in range(20)}
    documents |= {"deep.html": b"<div>" * 40_000 + b"x", "binary.txt": bytes(200), "broken.pdf": b"%PDF-1.4\n%%EOF"}
    pool = parse.Parsers
    monkeypatch.setattr(clean, "Parsers", lambda processes: pool(2, seconds=2.0))
    raw = raw_folder(tmp_path / "raw", documents)
    out = tmp_path / "out"
    out.mkdir()
    report = clean.run({"raw_documents": raw}, CONFIG, out, context)
    reasons = {row["path"]: row["reason"] for row in rows(out / "dispositions.parquet") if row["reason"]}
    assert reasons.pop("deep.html") in ("timeout", "unparseable:elements nested deeper than 300")
    assert reasons == {
        "binary.txt": "unparseable:control characters throughout",
        "broken.pdf": "unparseable:not a readable PDF: Failed to load document (PDFium: Data format error).",
    }
    assert report.counts["kept"] == 20
    assert report.counts["quarantined"] == 3
    assert report.counts["quarantined/unparseable"] >= 2


def test_the_same_documents_give_the_same_bytes(raw: Path, cleaned: Path, tmp_path: Path, context: LocalContext):
    again = tmp_path / "again"
    again.mkdir()
    clean.run({"raw_documents": raw}, CONFIG, again, context)
    for name in ("documents.parquet", "dispositions.parquet"):
        assert (again / name).read_bytes() == (cleaned / name).read_bytes()


def test_progress_reaches_the_end(cleaned: Path, context: LocalContext):
    done, total, _ = context.seen[-1]
    assert done == total == 78


def test_a_stopped_run_says_how_to_go_on(raw: Path, tmp_path: Path, context: LocalContext):
    context.cancelled = lambda: True  # type: ignore[method-assign]
    with pytest.raises(InterruptedRun, match="run the same command again"):
        clean.run({"raw_documents": raw}, CONFIG, tmp_path, context)


def test_a_source_without_a_document_is_refused_by_its_check(tmp_path: Path, context: LocalContext):
    raw = raw_folder(tmp_path / "raw", {"a.png": b"\x89PNG"})
    out = tmp_path / "out"
    out.mkdir()
    clean.run({"raw_documents": raw}, CONFIG, out, context)
    assert pq.read_table(out / "documents.parquet").schema == pa.schema(clean.DOCUMENTS)
    assert [finding.name for finding in clean.STAGE.check(out) if not finding.passed] == ["there_are_documents"]
