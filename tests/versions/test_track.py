"""Every version that stands gets a pointer, once; plain DVC agrees that all is as it was."""

import errno
import os
from pathlib import Path

import pytest
from versions_case import flip

from forge_dagster.errors import StorageError
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.run import Run
from forge_dagster.versions.pointer import Version, pointer_path, read_pointer, stated
from forge_dagster.versions.repository import root_of
from forge_dagster.versions.track import track, untracked


def dvc_status(home: Home) -> object:
    from dvc.repo import Repo

    with Repo(str(root_of(home))) as repo:
        return repo.status()


def test_each_version_has_one_pointer_that_the_ledger_states(home: Home, versions: dict[str, Version], store):
    done = track(home)
    assert sorted(done.versions) == sorted(versions.values())
    assert done.problems == []
    said = stated(Ledger(home.ledger))
    for version in versions.values():
        assert read_pointer(pointer_path(store, *version)) == said[version]
    assert len(list(home.artifacts.rglob("*.dvc"))) == len(versions)
    assert dvc_status(home) == {}


def test_nothing_is_done_twice(home: Home, versions: dict[str, Version]):
    track(home)
    before = home.ledger.read_bytes()
    assert track(home).versions == []
    assert home.ledger.read_bytes() == before


def test_the_bytes_are_on_the_disk_once(home: Home, versions: dict[str, Version], store, toy, make):
    copy = ("copy", make(Run(home, "third"), "copy", toy("module_copy", "words")).record.digest)
    track(home)
    for version in [*versions.values(), copy]:
        for path in store.version(*version).rglob("*"):
            assert path.is_dir() or path.stat().st_nlink >= 2
    assert (store.content(*copy) / "text.txt").samefile(store.content(*versions["words"]) / "text.txt")


def test_a_second_record_of_the_same_bytes_is_tracked_with_it(home: Home, versions: dict[str, Version], store):
    track(home)
    key, digest = versions["words"]
    before = read_pointer(pointer_path(store, key, digest))
    records = store.version(key, digest) / "records"
    (records / f"{'0' * 64}.json").write_bytes(b"{}")
    os.rename(records / f"{'0' * 64}.json", records / "aside.json")
    assert untracked(home) == [(key, digest)]
    track(home)
    after = read_pointer(pointer_path(store, key, digest))
    assert before is not None
    assert after is not None
    assert (after.nfiles, after.md5 == before.md5) == (before.nfiles + 1, False)


def test_a_pointer_that_somebody_changed_or_lost_is_written_anew(home: Home, versions: dict[str, Version], store):
    track(home)
    path = pointer_path(store, *versions["prose"])
    whole = path.read_bytes()
    for text in (b"outs:\n- md5: 0000.dir\n  size: 1\n  nfiles: 1\n", b"not yaml: [", b"", None):
        path.unlink() if text is None else path.write_bytes(text)
        assert track(home).versions == [versions["prose"]]
        assert path.read_bytes() == whole


def test_a_damaged_version_is_named_and_not_taken_for_the_truth(home: Home, versions: dict[str, Version], store):
    flip(store.content(*versions["prose"]) / "text.txt")
    done = track(home)
    assert versions["prose"] not in done.versions
    assert len(done.versions) == 3
    assert "text.txt differs from its record" in done.problems[0]
    assert not pointer_path(store, *versions["prose"]).exists()


def test_a_home_in_somebodys_repository_uses_it(tmp_path: Path):
    (tmp_path / "theirs" / ".dvc").mkdir(parents=True)
    assert root_of(Home(tmp_path / "theirs" / "data")) == tmp_path / "theirs"
    assert root_of(Home(tmp_path / "ours")) == tmp_path / "ours"


def test_a_cache_without_room_is_said_and_filled_later(home: Home, versions, store, monkeypatch: pytest.MonkeyPatch):
    import dvc_data.hashfile.transfer as carrying

    failed = carrying.TransferResult(set(), {"something"})
    monkeypatch.setattr(carrying, "transfer", lambda *given, **options: failed)
    with pytest.raises(StorageError, match="could not take in"):
        track(home)
    assert not list(home.artifacts.rglob("*.dvc"))
    monkeypatch.undo()
    assert len(track(home).versions) == len(versions)


def test_a_full_disk_is_one_message(home: Home, versions, monkeypatch: pytest.MonkeyPatch):
    import forge_dagster.versions.track as module

    def full(path: Path, pointer: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(module, "write_pointer", full)
    with pytest.raises(StorageError, match="no room to write"):
        track(home)
