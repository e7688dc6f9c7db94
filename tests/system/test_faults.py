"""Killed, stopped, doubled and starved runs: what was made stands, and the same command goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest
from nano import Organisation, kill

pytestmark = pytest.mark.system

STAGES = [
    "clean_documents/sample",
    "corpus",
    "nano/base_checkpoint",
    "nano/sft_checkpoint",
    "nano/preference_checkpoint",
    "nano/rl_checkpoint",
    "nano/scorecard",
]


SOME = ["clean_documents/sample", "nano/base_checkpoint", "nano/rl_checkpoint"]


@pytest.mark.parametrize(
    "stages", [SOME, pytest.param(STAGES, marks=pytest.mark.sweep)], ids=["three stages", "every stage"]
)
def test_killed_at_stages_then_the_same_digests(
    organisation: Callable[[], Organisation], undisturbed: Organisation, stages: list[str]
):
    disturbed, killed = organisation(), []
    for key in stages:
        process = disturbed.start("run")
        if disturbed.wait_for(process, key):
            steps = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
            kill(process)
            killed.append(key)
            deadline = time.monotonic() + 60
            while any(psutil.pid_exists(pid) for pid in steps) and time.monotonic() < deadline:
                time.sleep(0.1)
            left = [psutil.Process(pid).cmdline() for pid in steps if psutil.pid_exists(pid)]
            assert not [line for line in left if "multiprocessing.forkserver" in " ".join(line)]
        else:
            process.communicate()
    assert "nano/base_checkpoint" in killed
    assert len(killed) >= 3
    done = disturbed.forge("run")
    assert done.returncode == 0, done.stderr
    assert disturbed.digests() == undisturbed.digests()
    assert disturbed.forge("verify", "--all").returncode == 0
    assert not list((disturbed.home / "artifacts").rglob(".staging-*"))


def test_a_second_run_reuses_everything_and_says_so(undisturbed):
    started = time.monotonic()
    done = undisturbed.forge("run")
    assert done.returncode == 0
    assert "Everything is up to date" in done.stdout
    assert time.monotonic() - started < 30


def test_a_flipped_byte_anywhere_upstream_is_named(undisturbed):
    assert undisturbed.forge("verify", "nano/release").returncode == 0
    for key in ("raw_documents/sample", "corpus", "nano/base_checkpoint"):
        path = next(p for p in (undisturbed.home / "artifacts" / key).glob("*/content/*") if p.stat().st_size > 100)
        before = path.read_bytes()
        path.write_bytes(before[:50] + bytes([before[50] ^ 1]) + before[51:])
        done = undisturbed.forge("verify", "nano/release", "--json")
        path.write_bytes(before)
        assert done.returncode == 3
        assert any(str(path) in problem for problem in json.loads(done.stdout)["problems"])


def test_interrupted_by_ctrl_c_goes_on(organisation: Callable[[], Organisation]):
    made = organisation()
    process = made.start("run", "--select", "raw_documents,clean_documents,document_split")
    assert made.wait_for(process, "document_split", "starting") or made.wait_for(process, "clean_documents/sample")
    below = psutil.Process(process.pid).children()
    (server,) = [child for child in below if "multiprocessing.forkserver" in " ".join(child.cmdline())]
    assert os.getpgid(server.pid) != process.pid  # the signal reaches the run alone
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 75, err
    assert "run the same command again" in err
    assert made.forge("run", "--select", "raw_documents,clean_documents,document_split").returncode == 0
    assert made.forge("verify", "--all").returncode == 0


def test_two_runs_at_once_make_each_artifact_once(organisation: Callable[[], Organisation]):
    made = organisation()
    runs = [
        made.start("run", "--select", "raw_documents,clean_documents,document_split,domain_benchmark") for _ in "ab"
    ]
    for process in runs:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
    statements = [json.loads(line) for line in (made.home / "ledger.jsonl").read_text().splitlines()]
    keys = [entry["statement"]["key"] for entry in statements if entry["kind"] == "artifact"]
    assert sorted(keys) == ["clean_documents/sample", "document_split", "domain_benchmark", "raw_documents/sample"]
    assert made.forge("verify", "--all").returncode == 0


def test_a_full_disk_is_one_message_and_leaves_the_store_verifying(organisation: Callable[[], Organisation]):
    made = organisation()
    artifacts = made.home / "artifacts"
    artifacts.mkdir(parents=True)
    forge = f"{sys.executable} -m forge_dagster.cli.main"
    script = (
        f"mount -t tmpfs -o size=8m tmpfs {artifacts} && {forge} run --select raw_documents && "
        f"used=$(du -sk {artifacts} | cut -f1) && mount -o remount,size=$((used + 16))k {artifacts} && "
        f"{forge} run --select clean_documents; code=$?; {forge} verify --all; echo verified $?; exit $code"
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], env=made.environment, capture_output=True, text=True, timeout=600
    )
    if "Operation not permitted" in done.stderr and "mount" in done.stderr:
        pytest.skip("this kernel allows no mount in a user namespace")
    assert done.returncode == 6, done.stderr
    assert "Traceback" not in done.stderr
    assert "free space" in done.stderr
    assert "verified 0" in done.stdout


def test_without_a_network_everything_is_made_as_with_one(organisation: Callable[[], Organisation], undisturbed):
    made = organisation()
    forge = f"{sys.executable} -m forge_dagster.cli.main"
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-c", f"ip link set lo up; {forge} run"],
        env=made.environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert made.digests() == undisturbed.digests()
