"""Stages of TRL in processes of their own: `kill -9` leaves no trace, and they repeat to the byte."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from forge_dagster.training import checkpoint

SCRIPT = """
import json, sys
from pathlib import Path
from forge_dagster.environment import close
close()
from forge_dagster.stage import local_context
from forge_dagster.training import checkpoint
from forge_dagster.training.job import TrainingJob
import importlib
checkpoint.SECONDS_BETWEEN, checkpoint.MOST_TIME_SAVING = 0.0, 1e9  # after each step
name, inputs, job, out = json.loads(sys.argv[1])
module = importlib.import_module("forge_dagster.stages." + name)
folder = Path(out)
(folder / "out").mkdir(parents=True, exist_ok=True)
job, context = TrainingJob[module.Settings].model_validate(job), local_context(folder)
report = module.run({k: Path(v) for k, v in inputs.items()}, job, folder / "out", context)
assert all(finding.passed for finding in module.STAGE.check(folder / "out"))
print("REPORT" + json.dumps([context.seen[0][0], report.model_dump()]))
"""
STEPS: dict[str, dict[str, Any]] = {
    "sft": {"epochs": 20},
    "preference": {"epochs": 12},
    "kto": {"epochs": 6},
    "rl": {"steps": 60},
}
"""Enough that a process is killed before its last."""


def start(name: str, post, out: Path) -> "subprocess.Popen[str]":
    """A stage in a process of its own."""
    inputs = {k: str(v) for k, v in post.read(name).items()}
    arguments = [name, inputs, post.job(name, **STEPS[name]).model_dump(mode="json"), str(out)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, json.dumps(arguments)], **pipes)


def saved(folder: Path) -> int:
    """Steps done at the newest checkpoint."""
    found = checkpoint.checkpoints(folder / "work" / "checkpoints")
    return checkpoint.step_of(found[0]) if found else 0


@pytest.mark.system
@pytest.mark.parametrize(
    ("name", "kills"),
    [
        ("sft", 2),
        pytest.param("preference", 1, marks=pytest.mark.sweep),
        pytest.param("kto", 1, marks=pytest.mark.sweep),
        ("rl", 1),
    ],
)
def test_a_killed_stage_goes_on_to_the_same_bytes(name: str, kills: int, post, digests, tmp_path: Path):
    """Killed at a step, and a place in it, that nobody chose, after a checkpoint in mid-run."""
    dice, folder = random.Random(name), tmp_path / "killed"
    for _ in range(kills):
        after, process = saved(folder) + dice.randint(2, 8), start(name, post, folder)
        while saved(folder) < after:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.001)
        time.sleep(dice.uniform(0, 0.05))
        process.kill()
        process.communicate()
        assert process.returncode == -9, "it was at work"
        assert not list((folder / "out").iterdir())
    before, process = saved(folder), start(name, post, folder)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    first, again = json.loads(next(line for line in said.splitlines() if line.startswith("REPORT"))[6:])
    assert first == before + 1, "it goes on after the newest checkpoint"
    out, report = post.run(name, tmp_path / "straight", **STEPS[name])
    assert report.counts["steps"] > before
    assert again == report.model_dump()
    assert digests(folder / "out") == digests(out)
    assert digests(out)["model.safetensors"] != digests(post.inputs["previous"])["model.safetensors"]
