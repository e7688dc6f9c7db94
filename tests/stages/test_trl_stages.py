"""SFT, DPO and GRPO in processes of their own: they learn, and they repeat to the byte."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, sys
from pathlib import Path
from forge_dagster.environment import close
close()
from forge_dagster.stage import local_context
from forge_dagster.training.job import TrainingJob
import importlib
name, inputs, job, out = json.loads(sys.argv[1])
module = importlib.import_module("forge_dagster.stages." + name)
folder = Path(out)
(folder / "content").mkdir(parents=True)
job = TrainingJob[module.Settings].model_validate(job)
report = module.run({k: Path(v) for k, v in inputs.items()}, job, folder / "content", local_context(folder))
assert all(finding.passed for finding in module.STAGE.check(folder / "content"))
print("REPORT" + json.dumps(dict(report.metrics)))
"""


def run_apart(name: str, post, out: Path) -> tuple[str, dict[str, float]]:
    """Run a stage in a process of its own; return the digest of its weights and its metrics."""
    inputs = {k: str(v) for k, v in post.inputs.items()}
    arguments = [name, inputs, post.job(name).model_dump(mode="json"), str(out)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    files = {path.suffix for path in (out / "content").iterdir()}
    assert files <= {".json", ".safetensors"}
    metrics = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("REPORT"))[6:])
    return hashlib.sha256((out / "content" / "model.safetensors").read_bytes()).hexdigest(), metrics


@pytest.mark.system
@pytest.mark.parametrize("name", ["sft", "preference", "rl"])
def test_a_stage_repeats_to_the_byte_and_changes_the_model(name: str, post, tmp_path: Path):
    first, metrics = run_apart(name, post, tmp_path / "a")
    second, _ = run_apart(name, post, tmp_path / "b")
    assert first == second
    assert first != hashlib.sha256((post.inputs["previous"] / "model.safetensors").read_bytes()).hexdigest()
    if name == "sft":
        assert metrics["loss"] < metrics["first_loss"]
    assert (tmp_path / "a" / "beside" / "log.csv").exists()
