"""One daemon a home: the lock is held by whatever the process becomes, and a daemon that outlived it is named."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forge_dagster.cli.ui import be_the_only_one
from forge_dagster.errors import BusyError
from forge_dagster.home import Home

HOLD = (
    "import os, sys; from forge_dagster.cli.ui import be_the_only_one; be_the_only_one(); print('held', flush=True); "
    "os.execv('/bin/sleep', ['sleep', '60'])"
)


def test_the_lock_outlives_exec_and_the_second_is_refused(home: Home):
    first = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    while os.readlink(f"/proc/{first.pid}/exe").endswith("python3.11"):
        time.sleep(0.05)
    with pytest.raises(BusyError, match=f"runs already over .*: process {first.pid}") as caught:
        be_the_only_one()
    assert caught.value.exit_code == 5
    first.kill()
    first.communicate()
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True) as again:
        assert again.stdout is not None
        assert again.stdout.readline() == "held\n"
        again.kill()


def test_a_daemon_that_outlived_its_server_is_named(home: Home):
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "dagster._daemon"])
    while "dagster._daemon" not in Path(f"/proc/{left.pid}/cmdline").read_text():
        time.sleep(0.05)
    with pytest.raises(BusyError, match=f"outlived its `forge ui`: process {left.pid}"):
        be_the_only_one()
    left.kill()
    left.wait()
