"""Locks: the second waits, is told, gives up in time, and a dead holder holds nothing."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forge_dagster.errors import BusyError
from forge_dagster.provenance.locks import lock


def hold(path: Path) -> None:
    with lock(path, what="it", wait=1, waiting=lambda _: None):
        path.with_suffix(".held").touch()
        time.sleep(60)


@pytest.fixture
def holder(tmp_path: Path):
    """A process that holds the lock."""
    process = multiprocessing.get_context("spawn").Process(target=hold, args=(tmp_path / "x.lock",))
    process.start()
    while not (tmp_path / "x.held").exists():
        time.sleep(0.02)
    yield process
    process.kill()
    process.join()


def test_the_second_is_told_who_holds_it_and_gives_up(tmp_path: Path, holder):
    told: list[str] = []
    with (
        pytest.raises(BusyError, match=f"in the making by process {holder.pid}"),
        lock(tmp_path / "x.lock", what="it", wait=0.5, waiting=told.append),
    ):
        pass
    assert told == [f"waiting for it, in the making by process {holder.pid}"]


def test_a_killed_holder_frees_it(tmp_path: Path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    with lock(tmp_path / "x.lock", what="it", wait=5, waiting=lambda _: None):
        pass


def test_a_folder_that_takes_no_writes_is_told_with_the_mend(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from forge_dagster.provenance.locks import lock\n"
        "with lock(Path(sys.argv[1]) / 'x.lock', what='it', wait=1, waiting=print): pass"
    )
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$0" -c "$2" "$1"'
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, sys.executable, str(tmp_path), code],
        capture_output=True,
        text=True,
    )
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip(f"no mount in a user namespace here: {done.stderr}")
    assert f"StorageError: {tmp_path / 'x.lock'}: Read-only file system" in done.stderr
    assert "Mend: mount it writable" in done.stderr
