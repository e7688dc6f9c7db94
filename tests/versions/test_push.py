"""A push carries what the remote lacks, nothing damaged, and says what hinders it within bounds."""

import errno
import json
import time
from pathlib import Path

import pytest
from versions_case import Answering, add_remote, flip, objects

from forge_dagster.errors import BusyError, IntegrityError, RemoteError, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.versions.needed import remotes_of
from forge_dagster.versions.pointer import Version
from forge_dagster.versions.push import push, standing
from forge_dagster.versions.track import track


def test_what_is_there_is_not_carried_twice(home: Home, versions: dict[str, Version], remote: Path):
    first = push(home, standing(home))
    assert first.carried == len(objects(remote)) > 0
    assert push(home, standing(home)).carried == 0
    assert remotes_of(Ledger(home.ledger)) == {version: ["backup"] for version in versions.values()}


def test_one_version_alone(home: Home, versions: dict[str, Version], remote: Path):
    done = push(home, [versions["prose"]])
    assert done.carried == len(objects(remote))
    assert set(remotes_of(Ledger(home.ledger))) == {versions["prose"]}


def test_a_file_that_the_remote_lost_is_carried_again(home: Home, versions: dict[str, Version], remote: Path):
    push(home, standing(home))
    lost = next(path for path in objects(remote) if not path.name.endswith(".dir"))
    lost.unlink()
    assert push(home, standing(home)).carried == 1
    assert lost.exists()


def test_again_overwrites_what_is_damaged_there(home: Home, versions: dict[str, Version], remote: Path):
    push(home, standing(home))
    before = {path: path.read_bytes() for path in objects(remote)}
    for path in before:
        flip(path)
    assert push(home, standing(home)).carried == 0
    assert push(home, standing(home), again=True).carried == len(before)
    assert {path: path.read_bytes() for path in objects(remote)} == before


def test_nothing_damaged_leaves(home: Home, versions: dict[str, Version], remote: Path, store):
    track(home)
    flip(store.content(*versions["prose"]) / "text.txt")
    with pytest.raises(IntegrityError, match="flipped bytes"):
        push(home, standing(home))
    assert objects(remote) == []


def test_a_lost_cache_is_filled_from_the_store(home: Home, versions: dict[str, Version], remote: Path):
    import shutil

    track(home)
    shutil.rmtree(home.root / ".dvc" / "cache")
    assert push(home, standing(home)).carried == len(objects(remote))


def test_without_a_remote_the_mend_is_a_command(home: Home, versions: dict[str, Version]):
    with pytest.raises(UserError, match="dvc remote add -d NAME"):
        push(home, standing(home))
    add_remote(home, "backup", "/nowhere")
    with pytest.raises(UserError, match="no usable remote other"):
        push(home, standing(home), remote="other")


def failing(home: Home, url: str, **options: object) -> RemoteError:
    add_remote(home, "far", "s3://bucket/prefix", endpointurl=url, **options)
    begun = time.monotonic()
    with pytest.raises(RemoteError, match=r"pushing to remote far \(s3://bucket/prefix\) failed") as caught:
        push(home, standing(home))
    assert time.monotonic() - begun < 60
    assert remotes_of(Ledger(home.ledger)) == {}
    return caught.value


def test_a_remote_that_is_down(home: Home, versions: dict[str, Version], answering: Answering):
    url, _ = answering(500)
    nobody = url.rpartition(":")[0] + ":9"
    assert "Could not connect" in str(failing(home, nobody))
    assert track(home).problems == []


def test_a_remote_that_refuses_is_asked_once(home: Home, versions: dict[str, Version], answering: Answering):
    url, asked = answering(403)
    assert "PermissionError" in str(failing(home, url))
    assert len(asked) == 1


def test_a_remote_that_fails_is_asked_a_few_times(home: Home, versions: dict[str, Version], answering: Answering):
    url, asked = answering(500)
    assert "InternalError" in str(failing(home, url))
    assert 1 < len(asked) <= 6


def test_a_remote_that_never_answers_is_given_up(home: Home, versions: dict[str, Version], answering: Answering):
    url, asked = answering(None)
    assert "Read timeout" in str(failing(home, url, read_timeout=1))
    assert 1 < len(asked) <= 6


def test_a_full_remote_is_said_and_a_push_with_room_goes_on(
    home: Home, versions: dict[str, Version], remote: Path, monkeypatch: pytest.MonkeyPatch
):
    from dvc_objects.fs.local import LocalFileSystem

    track(home)
    real, room = LocalFileSystem.put_file, [3]

    def put_file(self: LocalFileSystem, source: object, target: object, **options: object) -> object:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, source, target, **options)

    monkeypatch.setattr(LocalFileSystem, "put_file", put_file)
    with pytest.raises(RemoteError, match="No space left on device"):
        push(home, standing(home))
    assert remotes_of(Ledger(home.ledger)) == {}
    monkeypatch.undo()
    carried = push(home, standing(home)).carried
    assert carried <= len(objects(remote))


def test_a_second_writer_waits_and_is_told(home: Home, versions: dict[str, Version], remote: Path):
    from forge_dagster.versions.repository import opened

    with opened(home), pytest.raises(BusyError, match="the repository of versions is in the making by process"):
        push(home, standing(home), wait=0.3)


def test_the_ledger_tells_what_was_pushed_where_once(home: Home, versions: dict[str, Version], remote: Path):
    push(home, standing(home))
    push(home, standing(home))
    said = [json.loads(line) for line in home.ledger.read_text().splitlines()]
    assert sum(entry["kind"] == "pushed" for entry in said) == len(versions)
