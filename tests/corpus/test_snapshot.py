"""The snapshot keeps every byte and accounts for every entry."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from forge_dagster.corpus import rows as rows_module
from forge_dagster.corpus import snapshot
from forge_dagster.errors import InterruptedRun, SourceError
from forge_dagster.stage import LocalContext


def reading(folder: Path) -> snapshot.SnapshotConfig:
    return snapshot.SnapshotConfig(source="notes", kind="folder", settings={}, location=str(folder))


def test_every_entry_has_a_row_and_every_kept_file_its_bytes(raw: Path, folder: Path, rows: Callable):
    on_disk = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    assert [row["path"] for row in rows(raw / "dispositions.parquet")] == on_disk
    documents = rows(raw / "documents.parquet")
    assert [row["path"] for row in documents] == [path for path in on_disk if path != "link.txt"]
    for row in documents:
        assert row["bytes"] == (folder / row["path"]).read_bytes()
        assert row["id"] == hashlib.sha256(row["bytes"]).hexdigest()
        assert row["size"] == len(row["bytes"])
        assert row["source"] == "notes"
    assert all(finding.passed for finding in snapshot.STAGE.check(raw))


def test_times_lie_beside_the_content(raw: Path, context: LocalContext, rows: Callable, folder: Path):
    assert {path.name for path in raw.iterdir()} == {"documents.parquet", "dispositions.parquet"}
    times = {row["path"]: row["mtime_ns"] for row in rows(context.beside / "times.parquet")}
    assert times["note-00.txt"] == (folder / "note-00.txt").stat().st_mtime_ns


def test_the_same_folder_gives_the_same_bytes(raw: Path, folder: Path, tmp_path: Path, context: LocalContext):
    (folder / "note-01.txt").touch()
    again = tmp_path / "again"
    again.mkdir()
    snapshot.run({}, reading(folder), again, context)
    for name in ("documents.parquet", "dispositions.parquet"):
        assert (again / name).read_bytes() == (raw / name).read_bytes()


def test_row_groups_are_bounded(folder: Path, tmp_path: Path, context: LocalContext, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows_module, "MOST_BYTES", 2000)
    out = tmp_path / "out"
    out.mkdir()
    snapshot.run({}, reading(folder), out, context)
    file = pq.ParquetFile(out / "documents.parquet")
    sizes = [sum(row["size"] for row in file.read_row_group(n).to_pylist()) for n in range(file.num_row_groups)]
    assert len(sizes) > 5
    assert max(sizes) <= 2000


@pytest.mark.parametrize("content", ["nothing", "links"])
def test_a_folder_without_a_file_is_refused(content: str, tmp_path: Path, context: LocalContext):
    folder, out = tmp_path / "empty", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    if content == "links":
        (folder / "link").symlink_to("nowhere")
    with pytest.raises(SourceError, match=r"no readable file .*\nRule: a source has documents, in .*\nMend: "):
        snapshot.run({}, reading(folder), out, context)


def test_a_stopped_run_says_how_to_go_on(folder: Path, tmp_path: Path, context: LocalContext):
    context.cancelled = lambda: True  # type: ignore[method-assign]
    with pytest.raises(InterruptedRun, match="run the same command again"):
        snapshot.run({}, reading(folder), tmp_path, context)
