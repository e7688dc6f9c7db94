"""A document that was erased is dropped wherever it comes again, and nothing else moves."""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from forge_dagster.corpus import clean, snapshot, split
from forge_dagster.stage import LocalContext

SPLIT = split.SplitConfig(seed=1, near_duplicate_jaccard=0.7, validation_share=0.2, test_share=0.2)
DROPPED = {"disposition": "dropped", "reason": "erased"}


def _id(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _placed(row: dict) -> dict[str, str]:
    return {name: row[name] for name in DROPPED}


@pytest.fixture
def reading(folder: Path) -> snapshot.SnapshotConfig:
    """The folder, of which one note is erased; it lies under another path and in a container as well."""
    note = folder / "note-07.txt"
    (folder / "sub" / "renamed.md").write_bytes(note.read_bytes())
    with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
        archive.write(note, "inside.txt")
        archive.write(folder / "note-08.txt", "other.txt")
    return snapshot.SnapshotConfig(
        source="notes", kind="folder", settings={}, location=str(folder), erased=(_id(note),)
    )


def test_it_is_dropped_under_every_path_and_in_a_container(reading, hop: Callable[..., Path], rows: Callable):
    whole = hop("whole", snapshot.STAGE, {}, reading.model_copy(update={"erased": ()}))
    # The second look takes the rows of unchanged entries from the cache.
    for name in ("first", "again"):
        raw = hop(name, snapshot.STAGE, {}, reading)
        found = {row["path"]: row for row in rows(raw / "dispositions.parquet")}
        for path in ("note-07.txt", "sub/renamed.md", "packed.zip!/inside.txt"):
            assert _placed(found[path]) == DROPPED
            assert found[path]["id"] == reading.erased[0]
        before = [row for row in rows(whole / "documents.parquet") if row["id"] != reading.erased[0]]
        assert rows(raw / "documents.parquet") == before
        assert all(finding.passed for finding in snapshot.STAGE.check(raw))


def test_the_digest_of_the_content_says_so_only_where_it_is(reading, folder: Path, tmp_path: Path):
    plain = reading.model_copy(update={"erased": ()})
    other = reading.model_copy(update={"erased": ("f" * 64,)})
    assert reading.look(tmp_path / "cache").content != plain.look(tmp_path / "cache").content
    assert reading.model_dump() == plain.model_dump(), "the list is no part of the configuration"
    # What a container holds is known once it is opened, so a list counts for a source with one.
    assert other.look(tmp_path / "cache").content != plain.look(tmp_path / "cache").content
    (folder / "packed.zip").unlink()
    assert other.look(tmp_path / "cache").content == plain.look(tmp_path / "cache").content


def test_what_a_stage_read_is_what_was_looked_at(reading, tmp_path: Path, context: LocalContext):
    (tmp_path / "out").mkdir()
    report = snapshot.run({}, reading, tmp_path / "out", context)
    assert report.read[snapshot.EXTERNAL] == reading.look(tmp_path / "cache").content


@pytest.mark.parametrize("by", ["erased", "erased_texts"])
def test_the_split_drops_it_by_bytes_or_by_text_and_moves_nothing_else(
    by: str, divided: Path, cleaned: Path, hop: Callable[..., Path], rows: Callable
):
    documents = {row["path"]: row["id"] for row in rows(cleaned / "documents.parquet")}
    texts = {row["path"]: row["digest"] for row in rows(cleaned / "signatures.parquet")}
    key = {"erased": documents, "erased_texts": texts}[by]["note-07.txt"]
    out = hop("less", split.STAGE, {"clean_documents/notes": cleaned}, SPLIT.model_copy(update={by: (key,)}))
    before, after = rows(divided / "split.parquet"), rows(out / "split.parquet")
    changed = [(old["path"], _placed(new), new["split"]) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [("note-07.txt", DROPPED, "")]
    assert all(finding.passed for finding in split.STAGE.check(out))


def test_of_a_cluster_what_is_left_is_chosen_among(divided: Path, cleaned: Path, hop: Callable, rows: Callable):
    kept = next(row for row in rows(divided / "split.parquet") if row["path"] == "sub/near-3.md")
    erased = SPLIT.model_copy(update={"erased": (kept["id"],)})
    out = hop("less", split.STAGE, {"clean_documents/notes": cleaned}, erased)
    found = {row["path"]: row for row in rows(out / "split.parquet")}
    assert _placed(found["sub/near-3.md"]) == DROPPED
    assert [path for path in ("note-03.txt", "sub/copy-3.txt") if found[path]["disposition"] == "kept"] == [
        "note-03.txt"
    ]
    assert all(finding.passed for finding in split.STAGE.check(out))


def test_cleaning_sees_no_trace_of_it(reading, hop: Callable, rows: Callable, clean_config: clean.CleanConfig):
    raw = hop("raw", snapshot.STAGE, {}, reading)
    cleaned = hop("clean", clean.STAGE, {"raw_documents": raw}, clean_config)
    for name in ("documents", "dispositions", "signatures"):
        assert reading.erased[0] not in {row["id"] for row in rows(cleaned / f"{name}.parquet")}
