"""Plain DVC over a nano run: status, graph, metrics, plots, push, pull and repro; a full disk as the remote."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from nano import Organisation

from forge_dagster.home import PROJECT

pytestmark = pytest.mark.system


def dvc(made: Organisation, *arguments: str, at: Path | None = None) -> str:
    """Output of a command of DVC, with the `forge` of this project for its stages."""
    shims = made.root / "bin"
    shims.mkdir(exist_ok=True)
    (shims / "forge").write_text(f'#!/bin/sh\nexec {sys.executable} -m forge_dagster.cli.main "$@"\n')
    (shims / "forge").chmod(0o755)
    # What a person has who knows DVC alone; threads decide which numerics a training has.
    kept = {
        name: value for name, value in made.environment.items() if not name.startswith("FORGE_") or "THREADS" in name
    }
    path = os.pathsep.join([str(shims), os.environ["PATH"]])
    given = {"PATH": path, "PYTHONPATH": str(PROJECT), "DVC_NO_ANALYTICS": "1", "HOME": str(made.root)}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=at or made.home,
        env=kept | given,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def made(organisation: Callable[[], Organisation]) -> Organisation:
    """An organisation of one recipe with two stages, run to its release, in a git repository of its own."""
    made = organisation()
    recipe = made.root / "recipes" / "nano.yaml"
    content = yaml.safe_load(recipe.read_text())
    content["stages"] = content["stages"][:1]
    recipe.write_text(yaml.safe_dump(content))
    made.home.mkdir()
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=made.home, check=True)
    ignored = (PROJECT / ".gitignore").read_text().split("# For the user's commits")[1].split("\n", 1)[1]
    (made.home / ".gitignore").write_text("/*\n!/.gitignore\n!/.dvc/\n!/dvc.*\n" + ignored.replace("/data/", "/"))
    dvc(made, "config", "cache.type", "hardlink,copy")
    dvc(made, "remote", "add", "-d", "backup", str(made.root / "backup"))
    done = made.forge("run")
    assert done.returncode == 0, done.stderr
    return made


def git(made: Organisation, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=made.home, check=True, capture_output=True, text=True
    ).stdout


def test_status_graph_metrics_and_plots(made: Organisation):
    assert "up to date" in dvc(made, "status")
    assert "nano--release" in dvc(made, "dag", "--mermaid")
    card = json.loads(
        next((made.home / "artifacts" / "nano" / "scorecard").glob("*/content/scorecard.json")).read_text()
    )
    scores = card["checkpoints"]["base"]
    shown = dvc(made, "metrics", "show", "--json")
    assert all(json.dumps(score["value"]) in shown for score in scores.values())
    page = dvc(made, "plots", "show").strip().removeprefix("file://")
    assert "nano/base_checkpoint" in Path(page).read_text()
    assert list(yaml.safe_load((made.home / "dvc.yaml").read_text())["artifacts"]) == ["nano"]


def test_git_sees_pointers_and_the_ledger_and_no_bytes(made: Organisation):
    listed = git(made, "ls-files", "--others", "--cached", "--exclude-standard").split()
    kinds = {Path(name).suffix if ".dvc/" not in name else "dvc's own" for name in listed}
    assert "ledger.jsonl" in listed
    assert "dvc.lock" in listed
    assert kinds <= {".dvc", ".yaml", ".lock", ".jsonl", ".json", ".csv", "", "dvc's own"}
    assert not [name for name in listed if "/content/" in name or "/records/" in name or name.startswith("work")]


def test_plain_push_and_pull_and_forge_agree(made: Organisation):
    dvc(made, "push")
    pushed = json.loads(made.forge("push", "--json").stdout)
    assert pushed["carried"] == 0
    release = made.digests()["nano/release"]
    folder = made.home / "artifacts" / "nano" / "release" / release
    shutil.rmtree(folder)
    shutil.rmtree(made.home / ".dvc" / "cache")
    dvc(made, "pull", f"artifacts/nano/release/{release}.dvc")
    assert made.forge("verify", "nano/release").returncode == 0
    shutil.rmtree(folder)
    shutil.rmtree(made.home / ".dvc" / "cache")
    pulled = json.loads(made.forge("pull", "nano/release", "--json").stdout)
    assert (pulled["state"], pulled["remote"]) == ("restored", "backup")
    assert made.forge("verify", "nano/release").returncode == 0
    assert made.forge("push").returncode == 0  # fills the cache for what follows
    assert made.forge("fsck", "--remote").returncode == 0
    assert "up to date" in dvc(made, "status")


def test_dvc_finds_nothing_where_fsck_finds_the_byte(made: Organisation):
    path = next((made.home / "artifacts" / "corpus").glob("*/content/train.parquet"))
    entry, data = path.stat(), path.read_bytes()
    path.chmod(0o644)
    with path.open("r+b") as stream:  # as a disk does it: in place, and nobody notes the time
        stream.write(bytes([data[0] ^ 1]))
    os.utime(path, ns=(entry.st_atime_ns, entry.st_mtime_ns))
    assert "up to date" in dvc(made, "status")
    done = made.forge("fsck", "--json")
    assert done.returncode == 3
    problems = json.loads(done.stdout)["problems"]
    assert {problem["place"] for problem in problems} == {"store", "cache"}
    assert made.forge("push", "corpus").returncode == 3
    assert made.forge(*problems[0]["mend"].split()[1:]).returncode == 0
    assert made.forge("fsck").returncode == 0
    assert made.forge("verify", "nano/release").returncode == 0


def test_repro_makes_what_is_stale_once_and_metrics_diff_shows_it(made: Organisation):
    git(made, "add", "-A")
    git(made, "commit", "-qm", "before")
    before = made.digests()
    recipe = made.root / "recipes" / "nano.yaml"
    content = yaml.safe_load(recipe.read_text())
    content["seed"] += 1
    recipe.write_text(yaml.safe_dump(content))
    assert "nano--base_checkpoint" in dvc(made, "status")
    dvc(made, "repro")
    after = made.digests()
    changed = {key for key in after if after[key] != before[key]}
    assert {"nano/base_checkpoint", "nano/scorecard", "nano/release"} <= changed
    said = [json.loads(line) for line in (made.home / "ledger.jsonl").read_text().splitlines()]
    keys = [entry["statement"]["key"] for entry in said if entry["kind"] == "artifact"]
    assert all(keys.count(key) == 2 for key in changed)
    assert "up to date" in dvc(made, "status")
    assert "Everything is up to date" in made.forge("run").stdout
    assert "up to date" in dvc(made, "status")
    assert '"base.validation.bits_per_byte": {"old"' in dvc(made, "metrics", "diff", "HEAD", "--json")


def test_a_full_remote_and_then_room(made: Organisation):
    full = made.root / "full"
    full.mkdir()
    forge = f"{sys.executable} -m forge_dagster.cli.main"
    script = (
        f"mount -t tmpfs -o size=64k tmpfs {full} && "
        f"{sys.executable} -m dvc --cd {made.home} remote add full {full} && "
        f"{forge} push --remote full; echo code $?; mount -o remount,size=64m {full} && "
        f"{forge} push --remote full && {forge} fsck --remote --name full"
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], env=made.environment, capture_output=True, text=True, timeout=600
    )
    if "Operation not permitted" in done.stderr and "mount" in done.stderr:
        pytest.skip("this kernel allows no mount in a user namespace")
    assert done.returncode == 0, done.stderr
    assert "code 69" in done.stdout
    assert "[Errno 28]" in done.stderr
    assert "Traceback" not in done.stderr
