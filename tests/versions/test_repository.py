"""DVC's locks: those of the dead are no locks, those of the living are waited for, but not for ever."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from forge_dagster.errors import BusyError, UserError
from forge_dagster.home import Home
from forge_dagster.versions.repository import begin, opened, patiently


@pytest.fixture
def root(home: Home) -> Path:
    return begin(home)


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def write(held, path: Path) -> None:
    """What `dvc commit` does with an output: take the lock of the repository and that of the path."""
    from dvc.rwlock import rwlock

    repo = held.repo
    with repo.lock, rwlock(repo.tmp_dir, repo.fs, "forge", [], [str(path)], False):
        path.write_text("written")


def test_locks_of_a_dead_process_hold_nothing(home: Home, root: Path):
    pid, path = dead_process(), root / "out"
    (root / ".dvc" / "tmp").mkdir()
    (root / ".dvc" / "tmp" / "lock").write_text(f" {pid}\n")
    held_by = {"read": {}, "write": {str(path): {"pid": pid, "cmd": "dvc repro"}}}
    (root / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(held_by))
    with opened(home) as held:
        patiently(held.repo, lambda: write(held, path), wait=2)
    assert path.read_text() == "written"


def test_a_lock_file_half_written_by_a_dead_process_is_put_aside(home: Home, root: Path):
    (root / ".dvc" / "tmp").mkdir()
    (root / ".dvc" / "tmp" / "rwlock").write_text('{"read": {}, "wri')
    with opened(home) as held:
        patiently(held.repo, lambda: write(held, root / "out"), wait=2)
    assert (root / ".dvc" / "tmp" / "rwlock.damaged").exists()


def test_a_living_command_of_dvc_is_waited_for_and_then_named(home: Home, root: Path):
    code = f"import time; from dvc.repo import Repo; r = Repo({str(root)!r}); r.lock.lock(); print('held', flush=True)"
    with subprocess.Popen([sys.executable, "-c", f"{code}; time.sleep(60)"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            with opened(home) as held, pytest.raises(BusyError, match="is held by another dvc command"):
                patiently(held.repo, lambda: write(held, root / "out"), wait=0.5)
        finally:
            process.kill()
    with opened(home) as held:
        patiently(held.repo, lambda: write(held, root / "out"), wait=0.5)


def test_a_configuration_that_dvc_cannot_read_is_said(home: Home, root: Path):
    (root / ".dvc" / "config").write_text("[core\n")
    with pytest.raises(UserError, match="DVC cannot work in"), opened(home):
        pass


def test_a_home_of_its_own_is_closed_and_without_git(home: Home, root: Path):
    with opened(home) as held:
        core = held.repo.config["core"]
        assert (core["analytics"], core["check_update"], core["no_scm"]) == (False, False, True)
        assert held.cache.cache_types == ["hardlink", "copy"]


def test_downloads_are_verified_whatever_the_user_set_up(home: Home, root: Path):
    with (root / ".dvc" / "config").open("a") as config:
        config.write("['remote \"a\"']\n    url = /tmp/a\n['remote \"b\"']\n    url = s3://b\n    read_timeout = 7\n")
    with opened(home) as held:
        assert held.remote("a").odb.verify
        assert held.remote("b").odb.verify
        assert held.repo.config["remote"]["b"]["read_timeout"] == 7
        assert held.repo.config["remote"]["b"]["connect_timeout"] == 5
