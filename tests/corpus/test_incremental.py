"""What is made from a changed source with rows of the last run is, byte for byte, what is made from it afresh."""

import os
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from forge_dagster.corpus import clean, parse_worker, snapshot, split
from forge_dagster.corpus.kinds import folder as folder_kind
from forge_dagster.corpus.parse import Parsers
from forge_dagster.stage import LocalContext, Stage, local_context

FOOTER = "This page belongs to the handbook of the works and is reviewed every year."


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may be trusted at once: the tests change sizes, not bytes within one tick."""
    monkeypatch.setattr(folder_kind, "SETTLED", -(10**18))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Task and path, or title, of everything the parser processes are asked."""
    found: list[tuple[str, str]] = []
    submit = Parsers.submit

    def noted(self: Parsers, head: dict, data: bytes):
        found.append((head["task"], head.get("path", head.get("title"))))
        return submit(self, head, data)

    monkeypatch.setattr(Parsers, "submit", noted)
    return found


def made(at: Path, to: Path, context: LocalContext, clean_config: clean.CleanConfig) -> dict[str, bytes]:
    """Every file of raw, clean and split documents of a folder."""
    raw, cleaned, divided = to / "raw", to / "clean", to / "split"
    config = snapshot.SnapshotConfig(source="notes", kind="folder", settings={}, location=str(at))
    sides = split.SplitConfig(seed=1, near_duplicate_jaccard=0.7, validation_share=0.2, test_share=0.2)
    hops: list[tuple[Stage, dict[str, Path], object, Path]] = [
        (snapshot.STAGE, {}, config, raw),
        (clean.STAGE, {"raw_documents": raw}, clean_config, cleaned),
        (split.STAGE, {"clean_documents/notes": cleaned}, sides, divided),
    ]
    for stage, inputs, configured, out in hops:
        out.mkdir(parents=True)
        stage.run(inputs, configured, out, context)
    return {path.relative_to(to).as_posix(): path.read_bytes() for path in sorted(to.rglob("*.parquet"))}


def edit(at: Path, draw: random.Random, prose: Callable) -> None:
    """A few random edits: new, changed, moved, deleted and copied documents, an archive, the footer on or off."""
    files = sorted(path for path in at.rglob("*.txt"))
    for _ in range(draw.randrange(1, 6)):
        path, number = draw.choice(files), draw.randrange(10**6)
        match draw.randrange(7):
            case 0:
                path.write_text(prose(number) + "\n")
            case 1 if path.exists() and len(files) > 25:
                path.unlink()
            case 2 if path.exists():
                path.rename(path.with_name(f"moved-{number}.txt"))
            case 3 if path.exists():
                (at / f"copy-{number}.txt").write_text(path.read_text() + "One more line here.\n")
            case 4:
                with zipfile.ZipFile(at / "box.zip", "w") as archive:
                    archive.writestr("inside.txt", prose(number))
                    archive.writestr("broken.pdf", b"%PDF-1.4 nothing")
            case 5:
                for other in files[: len(files) // 2]:
                    if other.exists():
                        other.write_text(
                            other.read_text().removesuffix(f"{FOOTER}\n") + draw.choice(["", f"{FOOTER}\n"])
                        )
            case _:
                os.utime(path if path.exists() else at)


@pytest.mark.parametrize("seed", range(3))
def test_incremental_is_full_over_random_edits(
    seed: int, tmp_path: Path, prose: Callable, clean_config: clean.CleanConfig
):
    draw, at = random.Random(seed), tmp_path / "documents"
    at.mkdir()
    for number in range(40):
        (at / f"{number:02}.txt").write_text(f"Note {number}\n\n{prose(number)}\n{FOOTER}\n")
    lasting = local_context(tmp_path / "lasting")
    for turn in range(4):
        incremental = made(at, tmp_path / f"incremental-{turn}", lasting, clean_config)
        full = made(at, tmp_path / f"full-{turn}", local_context(tmp_path / f"fresh-{turn}"), clean_config)
        assert incremental == full
        edit(at, draw, prose)


def test_only_what_changed_is_read_parsed_and_decided_on(
    folder: Path, tmp_path: Path, asked: list, clean_config: clean.CleanConfig, monkeypatch: pytest.MonkeyPatch
):
    read: list[str] = []
    kept = folder_kind.kept
    monkeypatch.setattr(folder_kind, "kept", lambda path, *rest: [read.append(path), kept(path, *rest)][1])
    context = local_context(tmp_path / "lasting")
    made(folder, tmp_path / "first", context, clean_config)
    assert len(read) > 30
    (folder / "note-07.txt").write_text("A note that says something else than it did, at some length.\n")
    (folder / "note-08.txt").unlink()
    read.clear()
    asked.clear()
    made(folder, tmp_path / "second", context, clean_config)
    assert read == ["note-07.txt"]
    # `really-a.txt` is refused, which is known as well; only the changed note is asked about.
    assert [task for task, _ in asked] == ["parse", "curate"]
    config = snapshot.SnapshotConfig(source="notes", kind="folder", settings={}, location=str(folder))
    read.clear()
    assert config.look(context.cache) == config.look(tmp_path / "none")
    assert len(read) > 30, "without a cache everything is read"


def test_a_cache_that_was_tampered_with_is_not_used(
    folder: Path, tmp_path: Path, asked: list, clean_config: clean.CleanConfig
):
    context = local_context(tmp_path / "lasting")
    first = made(folder, tmp_path / "first", context, clean_config)
    for path in context.cache.rglob("*.arrow"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    asked.clear()
    assert made(folder, tmp_path / "second", context, clean_config) == first
    assert len(asked) > 30


def test_other_code_uses_no_row_of_the_old(
    folder: Path, tmp_path: Path, asked: list, clean_config: clean.CleanConfig, monkeypatch: pytest.MonkeyPatch
):
    context = local_context(tmp_path / "lasting")
    made(folder, tmp_path / "first", context, clean_config)
    asked.clear()
    monkeypatch.setattr(clean, "code_version", lambda module: f"another version of {parse_worker.__name__}")
    made(folder, tmp_path / "second", context, clean_config)
    assert len([task for task, _ in asked if task == "parse"]) > 30
    assert len(list((context.cache / "parsed").iterdir())) == 1, "rows of the old code are gone"


def test_nothing_of_a_deleted_document_stays(folder: Path, tmp_path: Path, clean_config: clean.CleanConfig):
    context = local_context(tmp_path / "lasting")
    (folder / "secret.txt").write_text("The password of the vault was changed to zyzzyva by the night shift.\n")
    made(folder, tmp_path / "first", context, clean_config)
    assert any(b"zyzzyva" in path.read_bytes() for path in context.cache.rglob("*.arrow"))
    (folder / "secret.txt").unlink()
    made(folder, tmp_path / "second", context, clean_config)
    assert not any(b"zyzzyva" in path.read_bytes() for path in context.cache.rglob("*.arrow"))
    shutil.rmtree(context.cache)
